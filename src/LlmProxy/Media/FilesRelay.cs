using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Polly.CircuitBreaker;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Stored;

namespace LlmProxy.Media;

/// <summary>
/// Relays files and batches to the provider at which they live. A key sees what it made itself and nothing else; the ids are the provider's own. A list is made of what the
/// gateway knows to be the key's, each entry as the provider shows it now.
/// </summary>
internal sealed class FilesRelay(AdmissionController admission, DeadlinePool deadlines, BodyMemory memory, ProviderPipelines pipelines, TimeProvider clock)
{
    public const string FileKind = "file";
    public const string BatchKind = "batch";

    private const int UsualPage = 20;
    private const int MaxPage = 100;
    private const int ParallelRequests = 8;
    private const string ProviderName = "x-gateway-provider";

    private static readonly MediaFamily Files = new("files", "/files", "files");
    private static readonly MediaFamily Batches = new("batches", "/batches", "batches");

    private static readonly GatewayError NoForm = new(StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "A file is uploaded as a form: 'multipart/form-data' with the fields 'purpose' and 'file'.");

    private static readonly GatewayError CompressedUpload = new(StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "An upload may not have a Content-Encoding: it is passed on as it comes.");

    /// <summary>An upload that is too large.</summary>
    public static GatewayError TooLarge(GatewayRequest request) =>
        new(StatusCodes.Status413PayloadTooLarge, "request_too_large", $"The upload exceeds the limit of {request.Snapshot.Settings.MaxUploadBytes} bytes ('limits.maxUploadBytes').");

    /// <summary><c>POST /files</c>: the form passes through, without being held.</summary>
    public async Task UploadAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        if (!FormFields.IsForm(context.Request.ContentType) || !ResponseHeaders.IsPlain(context.Request.ContentType))
        {
            await RefuseAsync(context, NoForm);
            return;
        }
        if (context.Request.Headers.ContentEncoding.Count > 0)
        {
            await RefuseAsync(context, CompressedUpload);
            return;
        }
        if (context.Request.ContentLength > request.Snapshot.Settings.MaxUploadBytes)
        {
            await RefuseAsync(context, TooLarge(request));
            return;
        }
        ProviderCall? call = null;
        var error = Choose(context, Files, out var target) ?? Begin(context, target!, AdmissionAsk.Free, out call);
        if (error is not null)
        {
            await RefuseAsync(context, error);
            return;
        }
        using (call)
        {
            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            {
                size.MaxRequestBodySize = request.Snapshot.Settings.MaxUploadBytes;
            }
            if (target!.Authorizer is { NeedsContent: true })
            {
                await UploadSignedAsync(context, call!);
                return;
            }
            using var content = new PassedContent(context.Request, call!.Deadline, target.Provider.HeaderTimeout);
            await RelayObjectAsync(call, HttpMethod.Post, "", FileKind, content, made: true);
        }
    }

    /// <summary>What must be signed is held for that.</summary>
    private async Task UploadSignedAsync(HttpContext context, ProviderCall call)
    {
        var (body, error) = await PooledBody.ReadAsync(context, memory, call.Request.Snapshot.Settings.MaxBodyBytes);
        if (body is null)
        {
            call.Settle(CallOutcome.Cancelled, UsageSource.None, Money.Zero, error!.Code);
            await RefuseAsync(context, error);
            return;
        }
        using (body)
        {
            using var content = new SplicedContent(body.Bytes, new EditList());
            content.Headers.Remove("Content-Type");
            content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
            await RelayObjectAsync(call, HttpMethod.Post, "", FileKind, content, made: true);
        }
    }

    /// <summary><c>POST /batches</c>.</summary>
    public async Task CreateBatchAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        var (body, unreadable) = await PooledBody.ReadAsync(context, memory, Math.Min(request.Snapshot.Settings.MaxBodyBytes, 1024 * 1024));
        if (body is null)
        {
            await RefuseAsync(context, unreadable!);
            return;
        }
        using (body)
        {
            if (PrepareBatch(context, body, out var target) is { } error)
            {
                await RefuseAsync(context, error);
                return;
            }
            var isHard = AdmissionController.NeedsBound(request);
            var reservation = target!.Provider.BatchReservation;
            if (isHard && reservation is null)
            {
                await RefuseAsync(context, new GatewayError(StatusCodes.Status400BadRequest, "unbounded_cost",
                    $"'input_file_id' makes the cost of this request boundless, and the key has a hard budget. Ask an admin for a 'batchReservation' of the provider '{target.Provider.Id}', or use a key without a hard budget.")
                { Field = "input_file_id" });
                return;
            }
            var ask = isHard ? new AdmissionAsk { AtLeast = reservation!.Value, AtMost = reservation.Value, PriceKnown = true }
                : new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.MaxValue, PriceKnown = true };
            if (Begin(context, target, ask, out var call) is { } refused)
            {
                await RefuseAsync(context, refused);
                return;
            }
            using (call)
            {
                using var content = new SplicedContent(body.Bytes, new EditList());
                await RelayObjectAsync(call!, HttpMethod.Post, "", BatchKind, content, made: true);
            }
        }
    }

    /// <summary><c>GET</c> of one file or batch.</summary>
    public Task GetAsync(HttpContext context, string kind) => RelayOwnAsync(context, kind, HttpMethod.Get, "");

    /// <summary><c>POST /batches/{id}/cancel</c>.</summary>
    public Task CancelBatchAsync(HttpContext context) => RelayOwnAsync(context, BatchKind, HttpMethod.Post, "/cancel");

    /// <summary><c>DELETE /files/{id}</c>.</summary>
    public Task DeleteAsync(HttpContext context) => RelayOwnAsync(context, FileKind, HttpMethod.Delete, "");

    /// <summary><c>GET /files/{id}/content</c>: passes through as it comes.</summary>
    public async Task ContentAsync(HttpContext context)
    {
        ProviderCall? call = null;
        var error = FindOwn(context, FileKind, out var own, out var target) ?? Begin(context, target!, AdmissionAsk.Free, out call);
        if (error is not null)
        {
            await RefuseAsync(context, error);
            return;
        }
        using (call)
        {
            if (await call!.SendAsync(HttpMethod.Get, $"/{Uri.EscapeDataString(own!.Id)}/content") is { } broken)
            {
                await RefuseAsync(context, broken);
            }
            else if (!call.IsSuccess)
            {
                await call.WriteErrorAsync();
            }
            else
            {
                await call.CopyAsync();
            }
        }
    }

    /// <summary><c>GET /files</c> and <c>GET /batches</c>.</summary>
    public async Task ListAsync(HttpContext context, string kind)
    {
        var request = GatewayRequest.Of(context);
        var query = context.Request.Query;
        var limitText = query["limit"].ToString();
        var limit = UsualPage;
        if (limitText.Length > 0 && !(int.TryParse(limitText, NumberStyles.None, CultureInfo.InvariantCulture, out limit) && limit >= 1))
        {
            await RefuseAsync(context, OpenAiErrors.Invalid("limit", "a whole number from 1"));
            return;
        }
        limit = Math.Min(limit, MaxPage);
        var objects = Objects(context);
        var found = objects.List(request.Key!.Id, kind, ProviderOf(context), kind == FileKind && query["purpose"].ToString() is { Length: > 0 } purpose ? purpose : null,
            query["after"].ToString() is { Length: > 0 } after ? after : null, query["order"] == "asc", limit + 1);
        // One lease for each provider that has some of them.
        var shown = found.Take(limit).Where(own => request.Key.MayReachProvider(own.Provider)).ToList();
        var bodies = new Dictionary<ProviderObject, byte[]>();
        foreach (var group in shown.GroupBy(own => own.Provider))
        {
            if (TargetOf(request, group.Key, FamilyOf(kind)) is not { } target)
            {
                continue;
            }
            if (Begin(context, target, AdmissionAsk.Free, out var call) is { } refused)
            {
                await RefuseAsync(context, refused);
                return;
            }
            using (call)
            {
                if (await FetchAsync(call!, kind, [.. group], objects, bodies) is { } broken)
                {
                    await RefuseAsync(context, broken);
                    return;
                }
            }
        }
        await WriteListAsync(context, [.. shown.Where(bodies.ContainsKey)], bodies, found.Count > limit);
    }

    private async Task RelayOwnAsync(HttpContext context, string kind, HttpMethod method, string action)
    {
        ProviderCall? call = null;
        var error = FindOwn(context, kind, out var own, out var target) ?? Begin(context, target!, AdmissionAsk.Free, out call);
        if (error is not null)
        {
            await RefuseAsync(context, error);
            return;
        }
        using (call)
        {
            await RelayObjectAsync(call!, method, $"/{Uri.EscapeDataString(own!.Id)}{action}", kind, null, made: false, own);
        }
    }

    /// <summary>Sends a request whose answer is one object, takes note of it, and relays it.</summary>
    private async Task RelayObjectAsync(ProviderCall call, HttpMethod method, string path, string kind, HttpContent? content, bool made, ProviderObject? own = null)
    {
        if (await call.SendAsync(method, path, content) is { } broken)
        {
            if (!call.Context.RequestAborted.IsCancellationRequested)
            {
                await RefuseAsync(call.Context, broken);
            }
            return;
        }
        if (!call.IsSuccess)
        {
            if (call.Status == StatusCodes.Status404NotFound && own is not null)
            {
                Objects(call.Context).Remove(own); // it expired, or somebody deleted it there
            }
            await call.WriteErrorAsync();
            return;
        }
        if (await call.ReadAsync() is not { } body || !ProviderObjectReader.TryRead(body.Bytes.Span, out var facts) || facts.Id is null)
        {
            call.Settle(CallOutcome.Broken, UsageSource.None, Money.Zero, "invalid_response");
            await RefuseAsync(call.Context, OpenAiErrors.UpstreamFailed);
            return;
        }
        var objects = Objects(call.Context);
        var (source, cost) = !made || kind == FileKind ? (UsageSource.None, (Money?)Money.Zero) : call.IsReserved ? (UsageSource.Reserved, null) : (UsageSource.Observed, (Money?)null);
        call.Settle(CallOutcome.Succeeded, source, cost);
        if (made)
        {
            own = new ProviderObject(call.Request.Key!.Id, kind, facts.Id, call.Target.Provider.Id, facts.Purpose ?? "", clock.GetUtcNow())
            {
                Charged = call.IsReserved && kind == BatchKind ? call.Target.Provider.BatchReservation ?? Money.Zero : Money.Zero,
            };
            objects.Add(own);
        }
        else if (method == HttpMethod.Delete)
        {
            objects.Remove(own!);
        }
        if (kind == BatchKind)
        {
            TakeNote(call, own!, facts, objects);
        }
        await call.WriteAsync(body);
    }

    /// <summary>The files that a batch made are whose the batch is; what it used is charged when it is over, once.</summary>
    private void TakeNote(ProviderCall call, ProviderObject batch, in ProviderObjectFacts facts, ProviderObjects objects)
    {
        foreach (var file in (ReadOnlySpan<string?>)[facts.OutputFile, facts.ErrorFile])
        {
            if (file is { Length: > 0 })
            {
                objects.Add(new ProviderObject(batch.KeyId, FileKind, file, batch.Provider, "batch_output", clock.GetUtcNow()));
            }
        }
        if (facts.IsOver && facts.Usage is { Total: > 0 } usage)
        {
            call.ChargeOnce(objects, batch, facts.Model is { Length: > 0 } model ? model : "batches", $"{batch.Provider}/batches", usage, "batch");
        }
    }

    private async Task<GatewayError?> FetchAsync(ProviderCall call, string kind, IReadOnlyList<ProviderObject> own, ProviderObjects objects, Dictionary<ProviderObject, byte[]> bodies)
    {
        try
        {
            foreach (var chunk in own.Chunk(ParallelRequests))
            {
                var fetched = await Task.WhenAll(chunk.Select(async item => (item, Answer: await FetchAsync(call, item))));
                foreach (var (item, (status, body)) in fetched)
                {
                    if (status == StatusCodes.Status404NotFound)
                    {
                        objects.Remove(item);
                    }
                    else if (body is null || !ProviderObjectReader.TryRead(body, out var facts))
                    {
                        call.Settle(CallOutcome.Failed, UsageSource.None, Money.Zero, "upstream_error");
                        return OpenAiErrors.UpstreamFailed;
                    }
                    else
                    {
                        bodies[item] = body;
                        if (kind == BatchKind)
                        {
                            TakeNote(call, item, facts, objects);
                        }
                    }
                }
            }
            call.Settle(CallOutcome.Succeeded, UsageSource.None, Money.Zero);
            return null;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or BrokenCircuitException)
        {
            return call.Fail(exception);
        }
    }

    private static async Task<(int Status, byte[]? Body)> FetchAsync(ProviderCall call, ProviderObject item)
    {
        using var response = await call.RequestAsync(HttpMethod.Get, $"/{Uri.EscapeDataString(item.Id)}");
        using var body = await call.ReadAsync(response);
        return ((int)response.StatusCode, response.IsSuccessStatusCode ? body?.Bytes.ToArray() : null);
    }

    private static async Task WriteListAsync(HttpContext context, IReadOnlyList<ProviderObject> items, Dictionary<ProviderObject, byte[]> bodies, bool hasMore)
    {
        context.Response.ContentType = "application/json";
        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "list"u8);
            json.WriteStartArray("data"u8);
            foreach (var item in items)
            {
                json.WriteRawValue(bodies[item], skipInputValidation: true);
            }
            json.WriteEndArray();
            json.WriteString("first_id"u8, items.Count > 0 ? items[0].Id : null);
            json.WriteString("last_id"u8, items.Count > 0 ? items[^1].Id : null);
            json.WriteBoolean("has_more"u8, hasMore && items.Count > 0);
            json.WriteEndObject();
        }
        context.Response.ContentLength = output.WrittenCount;
        await context.Response.BodyWriter.WriteAsync(output.WrittenMemory, context.RequestAborted);
    }

    /// <summary>Finds what the path names among what the key made.</summary>
    private static GatewayError? FindOwn(HttpContext context, string kind, out ProviderObject? own, out TargetPlan? target)
    {
        var request = GatewayRequest.Of(context);
        var id = Uri.UnescapeDataString((string)context.Request.RouteValues["id"]!);
        (own, target) = (id.Length > ProviderObjectReader.MaxIdLength ? null : Objects(context).Find(request.Key!.Id, kind, id, ProviderOf(context)), null);
        if (own is null || !request.Key!.MayReachProvider(own.Provider) || (target = TargetOf(request, own.Provider, FamilyOf(kind))) is null)
        {
            return NotFound(kind, id, "id");
        }
        return null;
    }

    private static GatewayError? PrepareBatch(HttpContext context, PooledBody body, out TargetPlan? target)
    {
        target = null;
        if (!ProviderObjectReader.TryRead(body.Bytes.Span, out var facts))
        {
            return new GatewayError(StatusCodes.Status400BadRequest, "invalid_json", "The request body must be one JSON object that names no member twice.");
        }
        if (facts.InputFile is null)
        {
            return OpenAiErrors.Missing("input_file_id");
        }
        var request = GatewayRequest.Of(context);
        if (Objects(context).Find(request.Key!.Id, FileKind, facts.InputFile, ProviderOf(context)) is not { } file || (target = TargetOf(request, file.Provider, Batches)) is null)
        {
            return NotFound(FileKind, facts.InputFile, "input_file_id");
        }
        // Which models a batch calls stands in its file, which nobody here reads.
        return request.Key.CoversProvider(file.Provider) ? null : new GatewayError(StatusCodes.Status403Forbidden, "batch_not_granted",
            $"A batch may call any model of its provider, so that the key needs a grant of all of them: '{file.Provider}/*'.");
    }

    /// <summary>The provider that a request names, or the only one that the key may reach and that has the endpoint.</summary>
    private static GatewayError? Choose(HttpContext context, MediaFamily family, out TargetPlan? target)
    {
        var request = GatewayRequest.Of(context);
        var candidates = request.Snapshot.Providers.Values.Where(provider => family.IsAt(provider) && request.Key!.MayReachProvider(provider.Id))
            .Select(provider => provider.Id).Order(StringComparer.Ordinal).ToList();
        var asked = ProviderOf(context);
        var chosen = asked is not null ? candidates.Find(id => id == asked) : candidates.Count == 1 ? candidates[0] : null;
        target = chosen is null ? null : TargetOf(request, chosen, family);
        if (target is not null)
        {
            return null;
        }
        var names = candidates.Count == 0 ? "This key may use none that has it." : $"Those that have it: {string.Join(", ", candidates)}.";
        return asked is null && candidates.Count > 1
            ? new GatewayError(StatusCodes.Status400BadRequest, "provider_required", $"Several providers have the endpoint /v1{family.Path}. Name one in the header '{ProviderName}', or as '?provider='. {names}") { Field = "provider" }
            : new GatewayError(StatusCodes.Status404NotFound, "endpoint_not_supported", $"{(asked is null ? "No provider" : $"The provider '{asked}' is not one that")} has the endpoint /v1{family.Path} for this key. {names}") { Field = "provider" };
    }

    // A provider's client, credential and headers are those that any model of it is called with.
    private static TargetPlan? TargetOf(GatewayRequest request, string provider, MediaFamily family) =>
        request.Snapshot.Providers.TryGetValue(provider, out var known) && family.IsAt(known) && request.Snapshot.Part<RouteTable>().Find($"{provider}/{family.Id}") is { Targets: [var target, ..] }
            ? family.Prepare(target) : null;

    private static string? ProviderOf(HttpContext context)
    {
        var named = context.Request.Headers[ProviderName].ToString();
        named = named.Length > 0 ? named : context.Request.Query["provider"].ToString();
        return named.Length > 0 ? named : null;
    }

    private static MediaFamily FamilyOf(string kind) => kind == FileKind ? Files : Batches;

    private static ProviderObjects Objects(HttpContext context) => context.RequestServices.GetRequiredService<ProviderObjects>();

    private static GatewayError NotFound(string kind, string id, string field) =>
        new(StatusCodes.Status404NotFound, $"{kind}_not_found", $"This key has made no {kind} '{(id.Length > 64 ? id[..64] + "…" : id)}'.") { Field = field };

    private GatewayError? Begin(HttpContext context, TargetPlan target, in AdmissionAsk ask, out ProviderCall? call) => ProviderCall.TryBegin(context, target, ask, admission, deadlines, memory, pipelines, out call);

    private static Task RefuseAsync(HttpContext context, GatewayError error) => OpenAiErrorFormat.Instance.WriteAsync(context, error);
}
