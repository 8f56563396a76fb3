using System.Text.Json;
using System.Text.Unicode;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;
using Shared.Admission;
using Shared.Http;
using Shared.VirtualKeys;

namespace LlmProxy.Routing;

/// <summary>What of a call stands in its address.</summary>
/// <param name="Model">The model's name; null: it stands in the body.</param>
/// <param name="Stream">Whether a stream is asked for; the body may say so, too.</param>
internal readonly record struct AddressedCall(string? Model = null, bool Stream = false)
{
    /// <summary>Whether a stream is one JSON array rather than server-sent events (Gemini without <c>alt=sse</c>).</summary>
    public bool JsonArray { get; init; }

    /// <summary>The service tier that a header asks for; null: none does.</summary>
    public string? ServiceTier { get; init; }

    /// <summary>The header that makes the price boundless whatever the model costs; null: none does.</summary>
    public string? UnboundedHeader { get; init; }
}

/// <summary>Puts into a request's body what the body only refers to.</summary>
internal interface IBodyRewriter
{
    /// <summary>Rewrites a body.</summary>
    /// <param name="body">The body as it came, of any form.</param>
    /// <returns>The new body, none of the old one's memory; empty: it stays as it is.</returns>
    ReadOnlyMemory<byte> Rewrite(ReadOnlyMemory<byte> body);

    /// <summary>The id of the provider that alone has what the body still refers to; null: none is known to.</summary>
    string? Owner { get; }
}

/// <summary>The endpoints at which models are called, which differ in their <see cref="EndpointFamily"/> alone.</summary>
internal sealed class ModelEndpoint(AdmissionController admission, FallbackChain chain, AnswerWriter writer, BodyMemory memory)
{
    /// <summary>The request header by which a client asks to be refused rather than served with something left out.</summary>
    public const string StrictHeader = "x-gateway-strict";

    /// <summary>Names longer than this are no models; they would only fill logs.</summary>
    private const int MaxModelNameBytes = 512;

    /// <summary>Answers requests to an endpoint whose body says everything.</summary>
    public RequestDelegate For(EndpointFamily family) => context => CreateAsync(context, family, default);

    /// <summary>Answers a request to an endpoint.</summary>
    /// <param name="context">The request.</param>
    /// <param name="family">The endpoint.</param>
    /// <param name="addressed">What stands in the address.</param>
    /// <param name="rewriter">Puts into the body what it refers to; null: it stays as it is.</param>
    public async Task CreateAsync(HttpContext context, EndpointFamily family, AddressedCall addressed, IBodyRewriter? rewriter = null)
    {
        var request = GatewayRequest.Of(context);
        var (body, error) = await PooledBody.ReadAsync(context, memory, request.Snapshot.Settings.MaxBodyBytes);
        if (body is not null && rewriter?.Rewrite(body.Bytes) is { IsEmpty: false } rewritten)
        {
            body.Dispose();
            using var stream = new MemoryStream(rewritten.ToArray());
            (body, error) = await PooledBody.ReadAsync(stream, rewritten.Length, memory, request.Snapshot.Settings.MaxBodyBytes, context.RequestAborted);
        }
        if (body is null)
        {
            await family.Errors.WriteAsync(context, error!);
            return;
        }
        using (body)
        {
            family = family.For(body.Bytes.Span);
            error = Prepare(context, family, addressed, request, body, rewriter?.Owner, out var call);
            if (error is not null)
            {
                await family.Errors.WriteAsync(context, error);
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
            await call.Target.Family.Errors.WriteAsync(call.Context, GatewayError.From(refusal));
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

    private static GatewayError? Prepare(HttpContext context, EndpointFamily family, AddressedCall addressed, GatewayRequest request, PooledBody body, string? owner, out ChatCall? call)
    {
        call = null;
        var bytes = body.Bytes.Span;
        var fields = new RoutedFields { Choices = 1, Stream = addressed.Stream, ServiceTier = addressed.ServiceTier, UnboundedMember = addressed.UnboundedHeader };
        if (family.Scan(bytes, ref fields) is { } error)
        {
            return error;
        }
        Span<char> text = stackalloc char[MaxModelNameBytes];
        var length = addressed.Model?.Length ?? 0;
        if (addressed.Model is { } model ? !model.TryCopyTo(text) : !TryDecode(bytes.Slice(fields.Model.Offset, fields.Model.Length), text, out length))
        {
            return OpenAiErrors.Invalid("model", $"the name of a model, in at most {MaxModelNameBytes} bytes");
        }
        var name = text[..length];
        if (request.Snapshot.Part<RouteTable>().Find(name, family) is not { } entry || !IsGranted(request.Key!, entry.Name))
        {
            return OpenAiErrors.ModelNotFound(name.ToString());
        }
        var targets = entry.TargetsFor(family);
        if (targets.Length == 0)
        {
            return OpenAiErrors.EndpointNotSupported(family, entry);
        }
        if (owner is not null && Array.FindAll(targets, target => target.Provider.Id == owner) is { Length: > 0 } own)
        {
            targets = own;
        }
        call = new ChatCall(context, request, body, entry, targets, fields)
        {
            IsStrict = entry.Route is { Strict: true } || context.Request.Headers.ContainsKey(StrictHeader),
            JsonArray = addressed.JsonArray,
        };
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

    /// <summary>Whether a key and everybody above it may use a model.</summary>
    public static bool IsGranted(VirtualKey key, string name)
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
