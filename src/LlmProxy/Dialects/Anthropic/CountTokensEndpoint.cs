using System.Buffers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// <c>POST /v1/messages/count_tokens</c>. A provider that counts itself is asked: Anthropic's own count is relayed, Gemini's is translated. For all others the answer is an estimate.
/// The header <c>x-gateway-token-count</c> says which it is: <c>provider</c> or <c>estimate</c>. Counting costs nothing; request limits hold for it.
/// </summary>
internal sealed class CountTokensEndpoint(AdmissionController admission, BodyMemory memory, DeadlinePool deadlines, TimeProvider clock)
{
    /// <summary>The header that says who counted.</summary>
    public const string SourceHeader = "x-gateway-token-count";

    private const string ByProvider = "provider";
    private const string ByEstimate = "estimate";
    private const string Endpoint = "count_tokens";
    private const string GeminiEndpoint = "count";
    private const int MaxAnswerBytes = 1024 * 1024;

    /// <summary>Answers a request.</summary>
    public async Task CountAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        var (body, error) = await PooledBody.ReadAsync(context, memory, request.Snapshot.Settings.MaxBodyBytes);
        if (body is null)
        {
            await AnthropicErrorFormat.Instance.WriteAsync(context, error!);
            return;
        }
        using (body)
        {
            error = Prepare(request, body.Bytes, out var fields, out var targets);
            if (error is null && admission.TryAdmit(request, AdmissionAsk.Free, out var lease) is var refusal)
            {
                using (lease)
                {
                    error = refusal is null ? null : GatewayError.From(refusal);
                    if (error is null)
                    {
                        error = await CountAsync(context, body.Bytes, fields, targets[0]);
                    }
                }
            }
            if (error is not null)
            {
                await AnthropicErrorFormat.Instance.WriteAsync(context, error);
            }
        }
    }

    private static GatewayError? Prepare(GatewayRequest request, ReadOnlyMemory<byte> body, out RoutedFields fields, out TargetPlan[] targets)
    {
        fields = new RoutedFields { Choices = 1 };
        targets = [];
        if (AnthropicScanner.Scan(body.Span, modelInAddress: false, ref fields, isCounted: true) is { } error)
        {
            return error;
        }
        var name = new JsonText(body.Slice(fields.Model.Offset, fields.Model.Length)).ToString();
        if (request.Snapshot.Part<RouteTable>().Find(name, EndpointFamily.Messages!) is not { } entry || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
        {
            return OpenAiErrors.ModelNotFound(name);
        }
        targets = entry.TargetsFor(EndpointFamily.Messages!);
        return targets.Length > 0 ? null : OpenAiErrors.EndpointNotSupported(EndpointFamily.Messages!, entry);
    }

    private async Task<GatewayError?> CountAsync(HttpContext context, ReadOnlyMemory<byte> body, RoutedFields fields, TargetPlan target)
    {
        context.Response.Headers["request-id"] = GatewayRequest.Of(context).RequestId;
        context.Response.Headers["x-gateway-provider"] = target.ProviderHeader;
        context.Response.Headers["x-gateway-model"] = target.ModelHeader;
        if (AnthropicRequestDecoder.Decode(body, stream: false, out var request) is { } undecodable)
        {
            return undecodable;
        }
        using var upstream = NewRequest(context, body, fields, target, request!);
        if (upstream is not null && await TryAskAsync(context, upstream, target))
        {
            return null;
        }
        await WriteAsync(context, TokenEstimate.Of(request!), ByEstimate);
        return null;
    }

    /// <summary>What to ask the provider; null: it does not count.</summary>
    private static HttpRequestMessage? NewRequest(HttpContext context, ReadOnlyMemory<byte> body, RoutedFields fields, TargetPlan target, NeutralRequest request)
    {
        var dialect = target.Upstream.Dialect?.Id;
        HttpContent content;
        if (dialect == DialectIds.Anthropic && AddressOf(target, Endpoint) is { } address)
        {
            var edits = new EditList();
            edits.Add(fields.Model.Offset, fields.Model.Length, target.ModelJson);
            content = new SplicedContent(body, edits);
        }
        else if (dialect == DialectIds.Gemini && AddressOf(target, GeminiEndpoint) is { } gemini && EncodeForGemini(target, request) is { } encoded)
        {
            (address, content) = (gemini, new SplicedContent(encoded, new EditList()));
        }
        else
        {
            return null;
        }
        var message = new HttpRequestMessage(HttpMethod.Post, address) { Content = content };
        foreach (var (name, value) in target.Headers)
        {
            message.Headers.TryAddWithoutValidation(name, value);
        }
        foreach (var name in dialect == DialectIds.Anthropic ? EndpointFamily.Messages!.ForwardedHeaders : [])
        {
            if (context.Request.Headers.TryGetValue(name, out var values) && ResponseHeaders.IsPlain(values))
            {
                message.Headers.Remove(name);
                message.Headers.TryAddWithoutValidation(name, (string?)values);
            }
        }
        message.Headers.TryAddWithoutValidation("traceparent", GatewayRequest.Of(context).TraceParent);
        return message;
    }

    private static Uri? AddressOf(TargetPlan target, string endpoint) =>
        !target.Provider.HasEndpoint(endpoint) ? null
        : target.Provider.EndpointAddresses.TryGetValue(endpoint, out var own) ? own.For(target.Model, stream: false)
        : Shared.Snapshots.ProviderAddresses.Of(target.Provider.BaseAddress!.AbsoluteUri.TrimEnd('/'), [endpoint])[endpoint].For(target.Model, stream: false);

    /// <summary>What Gemini's <c>:countTokens</c> takes: the request that would be sent, with the model's name in it.</summary>
    private static ReadOnlyMemory<byte>? EncodeForGemini(TargetPlan target, NeutralRequest request)
    {
        var generate = new ArrayBufferWriter<byte>();
        var encoding = new EncodeTarget { Provider = target.Provider, Model = target.Model, Dropped = new DropReport() };
        if (target.Upstream.Dialect!.Encode(request, encoding, generate) is not null)
        {
            return null;
        }
        var output = new ArrayBufferWriter<byte>(generate.WrittenCount + 128);
        output.Write("{\"generateContentRequest\":{\"model\":"u8);
        output.WriteText("models/" + target.Model);
        output.Write(generate.WrittenSpan.TrimStart(" \t\r\n"u8)[1..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..] ? default : ","u8);
        output.Write(generate.WrittenSpan.TrimStart(" \t\r\n"u8)[1..]);
        output.Write("}"u8);
        return output.WrittenMemory;
    }

    /// <summary>Asks the provider. False: it does not answer, or knows no such endpoint; its other errors are the client's to see.</summary>
    private async Task<bool> TryAskAsync(HttpContext context, HttpRequestMessage message, TargetPlan target)
    {
        var gateway = GatewayRequest.Of(context);
        using var deadline = deadlines.Rent(context.RequestAborted);
        deadline.Set(target.Provider.HeaderTimeout);
        var since = clock.GetTimestamp();
        try
        {
            if (target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(message, deadline.Token);
            }
            using var response = await target.Client.SendAsync(message, deadline.Token);
            deadline.Set(target.Provider.StallTimeout);
            var (answer, _) = await PooledBody.ReadAsync(await response.Content.ReadAsStreamAsync(deadline.Token), response.Content.Headers.ContentLength, memory, MaxAnswerBytes, deadline.Token);
            using (answer)
            {
                gateway.CountUpstream(since);
                return answer is not null && await TryAnswerAsync(context, response, answer, target);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException || (exception is OperationCanceledException && deadline.HasPassed))
        {
            gateway.CountUpstream(since);
            if (EgressRefusedException.Causes(exception))
            {
                await AnthropicErrorFormat.Instance.WriteAsync(context, OpenAiErrors.UpstreamRefusedByPolicy);
                return true;
            }
            return false;
        }
    }

    private static async Task<bool> TryAnswerAsync(HttpContext context, HttpResponseMessage response, PooledBody answer, TargetPlan target)
    {
        var status = (int)response.StatusCode;
        if (status < 300)
        {
            if (!TryReadCount(answer.Bytes.Span, out var count))
            {
                return false;
            }
            await WriteAsync(context, count, ByProvider);
            return true;
        }
        // Gemini's errors are not in this format; an estimate serves the client better than a translation of them.
        if (status is 404 or 405 or 501 || target.IsTranslated)
        {
            return false;
        }
        using var error = new UpstreamError(target, status, response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) ? type.ToString() : null, answer.Bytes, null);
        error.Keep(response);
        await error.WriteAsync(context.Response, context.RequestAborted);
        return true;
    }

    private static bool TryReadCount(ReadOnlySpan<byte> body, out long count)
    {
        count = -1;
        try
        {
            for (var members = new SpanMembers(body); members.Next();)
            {
                if ((members.Is("input_tokens"u8) || members.Is("totalTokens"u8)) && System.Buffers.Text.Utf8Parser.TryParse(members.Value, out long number, out _))
                {
                    count = number;
                }
            }
        }
        catch (JsonException)
        {
            return false;
        }
        return count >= 0;
    }

    private static async Task WriteAsync(HttpContext context, long tokens, StringValues source)
    {
        context.Response.Headers[SourceHeader] = source;
        context.Response.ContentType = "application/json";
        var output = new ArrayBufferWriter<byte>(32);
        output.Write("{\"input_tokens\":"u8);
        output.WriteNumber(tokens);
        output.Write("}"u8);
        context.Response.ContentLength = output.WrittenCount;
        await context.Response.Body.WriteAsync(output.WrittenMemory, context.RequestAborted);
    }
}
