using System.Text.Json;
using System.Text.Unicode;
using LlmProxy.Errors;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Admission;
using Shared.Http;
using Shared.VirtualKeys;

namespace LlmProxy.ChatCompletions;

/// <summary><c>POST /v1/chat/completions</c>, and the endpoints that differ from it in their <see cref="EndpointFamily"/> alone.</summary>
internal sealed class ChatCompletionsEndpoint(AdmissionController admission, FallbackChain chain, AnswerWriter writer, BodyMemory memory)
{
    /// <summary>Names longer than this are no models; they would only fill logs.</summary>
    private const int MaxModelNameBytes = 512;

    /// <summary>Answers a request to an endpoint.</summary>
    public RequestDelegate For(EndpointFamily family) => context => CreateAsync(context, family);

    private async Task CreateAsync(HttpContext context, EndpointFamily family)
    {
        var request = GatewayRequest.Of(context);
        var (body, error) = await PooledBody.ReadAsync(context, memory, request.Snapshot.Settings.MaxBodyBytes);
        if (body is null)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, error!);
            return;
        }
        using (body)
        {
            error = Prepare(context, family, request, body, out var call);
            if (error is not null)
            {
                await OpenAiErrorFormat.Instance.WriteAsync(context, error);
                return;
            }
            using (call)
            {
                try
                {
                    await RelayAsync(call!);
                }
                catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
                {
                    // The client left while its answer was written: the attempt is settled, and nobody is there to be told.
                    context.Abort();
                }
            }
        }
    }

    private async Task RelayAsync(ChatCall call)
    {
        var refusal = admission.TryAdmit(call.Request, SpendBound.AskFor(call, call.Target), out var lease);
        if (refusal is not null)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(call.Context, GatewayError.From(refusal));
            return;
        }
        call.Lease = lease!;
        using var answer = await chain.SendAsync(call);
        if (answer is not null)
        {
            await writer.WriteAsync(call, answer);
        }
        else if (!call.Aborted.IsCancellationRequested)
        {
            await AnswerWriter.WriteFailureAsync(call);
        }
    }

    private static GatewayError? Prepare(HttpContext context, EndpointFamily family, GatewayRequest request, PooledBody body, out ChatCall? call)
    {
        call = null;
        var bytes = body.Bytes.Span;
        if (RequestScanner.Scan(bytes, family, out var fields) is { } error)
        {
            return error;
        }
        Span<char> text = stackalloc char[MaxModelNameBytes];
        if (!TryDecode(bytes.Slice(fields.Model.Offset, fields.Model.Length), text, out var length))
        {
            return OpenAiErrors.Invalid("model", $"the name of a model, in at most {MaxModelNameBytes} bytes");
        }
        var name = text[..length];
        if (request.Snapshot.Part<RouteTable>().Find(name) is not { } entry || !IsGranted(request.Key!, entry.Name))
        {
            return OpenAiErrors.ModelNotFound(name.ToString());
        }
        var targets = entry.TargetsFor(family);
        if (targets.Length == 0)
        {
            return OpenAiErrors.EndpointNotSupported(family, entry);
        }
        call = new ChatCall(context, request, body, entry, targets[0], fields);
        return null;
    }

    /// <summary>Decodes a JSON string without making one. False: it is too long, or no text.</summary>
    private static bool TryDecode(ReadOnlySpan<byte> quoted, Span<char> text, out int length)
    {
        length = 0;
        if (quoted.Length > MaxModelNameBytes)
        {
            return false;
        }
        if (!quoted.Contains((byte)'\\'))
        {
            return Utf8.ToUtf16(quoted[1..^1], text, out _, out length, replaceInvalidSequences: false) == System.Buffers.OperationStatus.Done;
        }
        try
        {
            var reader = new Utf8JsonReader(quoted);
            reader.Read();
            length = reader.CopyString(text);
            return true;
        }
        catch (InvalidOperationException)
        {
            return false; // escapes that make no character
        }
    }

    internal static bool IsGranted(VirtualKey key, string name)
    {
        for (Owner? owner = key; owner is not null; owner = owner.Parent)
        {
            var grants = owner.Grants;
            if (grants is null ? owner.Kind == OwnerKind.Key : !grants.AllowsModel(name))
            {
                return false;
            }
        }
        return true;
    }
}
