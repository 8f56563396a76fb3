using System.Buffers;
using System.Globalization;
using LlmProxy.Dialects.Responses.Socket;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>The endpoints of Responses: making one, and what can be done with one that was made.</summary>
internal sealed class ResponsesEndpoints(ModelEndpoint models, ResponseStore store, ProviderResponses providers, BodyMemory memory, TimeProvider clock)
{
    /// <summary>The most items of one page.</summary>
    private const int MaxPage = 100;

    private const int UsualPage = 20;

    /// <summary>What an image counts for in a guess of tokens.</summary>
    private const long TokensOfImage = 1000;

    /// <summary>Makes a response.</summary>
    public Task CreateAsync(HttpContext context) => CreateAsync(context, new ResponseKeeper(store, KeyOf(context), clock));

    /// <summary>Makes a response.</summary>
    /// <param name="context">The request.</param>
    /// <param name="keeper">Puts into the body what it refers to, and keeps the answer.</param>
    public Task CreateAsync(HttpContext context, ResponseKeeper keeper)
    {
        context.Features.Set<IAnswerKeeper>(keeper);
        return models.CreateAsync(context, EndpointFamily.Responses!, default, keeper);
    }

    /// <summary>
    /// Takes a request that shall generate nothing (<c>generate: false</c>, over WebSocket alone): answers with the events of an empty response, from which later ones can go on. No
    /// provider is asked, and nothing is charged.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="keeper">Puts into the body what it refers to, and keeps the answer.</param>
    public async Task PrepareAsync(HttpContext context, ResponseKeeper keeper)
    {
        var (body, error) = await ReadAsync(context, keeper);
        using (body)
        {
            var dialect = EndpointFamily.Responses!.Dialect!;
            NeutralRequest? request = null;
            if (error is not null || (error = FindModel(context, body!, out var found)) is not null || (error = dialect.Decode(body!.Bytes, stream: true, out request)) is not null)
            {
                await OpenAiErrorFormat.Instance.WriteAsync(context, error);
                return;
            }
            var output = new ArrayBufferWriter<byte>();
            var encoder = dialect.NewEncoder(new AnswerContext
            {
                Request = request!,
                RequestedModel = found.Entry!.Name,
                Stream = true,
                RequestId = GatewayRequest.Of(context).RequestId,
                Now = clock.GetUtcNow().ToUnixTimeSeconds(),
                Dropped = new DropReport(),
                Keeper = keeper,
            }, output);
            encoder.Start(new AnswerStart());
            encoder.Usage(new AnswerUsage { Tokens = default });
            encoder.End();
            context.Response.ContentType = dialect.StreamType;
            await context.Response.BodyWriter.WriteAsync(output.WrittenMemory, context.RequestAborted);
        }
    }

    /// <summary>Answers with a response that was made.</summary>
    public Task GetAsync(HttpContext context) => AnswerAsync(context, "", found => WriteAsync(context, found.Answer));

    /// <summary>Forgets a response.</summary>
    public Task DeleteAsync(HttpContext context) => AnswerAsync(context, "", found =>
    {
        store.Remove(found.KeyId, found.Id);
        var output = new ArrayBufferWriter<byte>();
        var json = new JsonObjectWriter(output);
        json.Text("id"u8, found.Id);
        json.Text("object"u8, "response");
        json.Boolean("deleted"u8, true);
        json.End();
        return WriteAsync(context, output.WrittenMemory);
    });

    /// <summary>Only responses that are made in the background can be cancelled, and those that the gateway keeps are complete.</summary>
    public Task CancelAsync(HttpContext context) => AnswerAsync(context, "/cancel", _ => OpenAiErrorFormat.Instance.WriteAsync(context,
        new GatewayError(StatusCodes.Status400BadRequest, "invalid_request", "Only a response that is made in the background can be cancelled, and this one is complete.")));

    /// <summary>Lists what a response was made from.</summary>
    public Task ListInputAsync(HttpContext context) => AnswerAsync(context, "/input_items", found => ListAsync(context, found));

    /// <summary>
    /// Counts the tokens of a request. A provider of the format counts them itself; for others the gateway guesses as its token limits do, four bytes to a token and
    /// a thousand tokens to an image, and says so in <c>x-gateway-token-count: estimate</c>.
    /// </summary>
    public async Task CountAsync(HttpContext context)
    {
        var keeper = new ResponseKeeper(store, KeyOf(context), clock);
        var (body, error) = await ReadAsync(context, keeper);
        using (body)
        {
            if (error is not null || (error = FindModel(context, body!, out var found)) is not null)
            {
                await OpenAiErrorFormat.Instance.WriteAsync(context, error);
                return;
            }
            var bytes = body!.Bytes;
            var targets = found.Entry!.TargetsFor(EndpointFamily.Responses!);
            if ((Array.Find(targets, one => one.Provider.Id == keeper.Owner) ?? targets.FirstOrDefault()) is { IsTranslated: false } target)
            {
                var edits = new Relay.EditList();
                edits.Add(found.Fields.Model.Offset, found.Fields.Model.Length, target.ModelJson);
                using var content = new Relay.SplicedContent(bytes, edits);
                await providers.CountAsync(context, target, content);
                return;
            }
            if (EndpointFamily.Responses!.Dialect!.Decode(bytes, false, out _) is { } undecodable)
            {
                await OpenAiErrorFormat.Instance.WriteAsync(context, undecodable);
                return;
            }
            var output = new ArrayBufferWriter<byte>();
            var json = new JsonObjectWriter(output);
            json.Text("object"u8, "response.input_tokens");
            json.Number("input_tokens"u8, TokenGuess.Of(bytes) + found.Fields.ImageParts * TokensOfImage);
            json.End();
            context.Response.Headers["x-gateway-token-count"] = "estimate";
            await WriteAsync(context, output.WrittenMemory);
        }
    }

    /// <summary>Reads a body and puts into it what it refers to.</summary>
    private async ValueTask<(PooledBody? Body, GatewayError? Error)> ReadAsync(HttpContext context, ResponseKeeper keeper)
    {
        var limit = GatewayRequest.Of(context).Snapshot.Settings.MaxBodyBytes;
        var read = await PooledBody.ReadAsync(context, memory, limit);
        if (read.Body is null || keeper.Rewrite(read.Body.Bytes) is not { IsEmpty: false } rewritten)
        {
            return read;
        }
        read.Body.Dispose();
        using var stream = new MemoryStream(rewritten.ToArray());
        return await PooledBody.ReadAsync(stream, rewritten.Length, memory, limit, context.RequestAborted);
    }

    /// <summary>The model that a body names, if its key may use it.</summary>
    private static GatewayError? FindModel(HttpContext context, PooledBody body, out (ChatCompletions.RoutedFields Fields, RouteEntry? Entry) found)
    {
        var request = GatewayRequest.Of(context);
        found = (new ChatCompletions.RoutedFields { Choices = 1 }, null);
        if (ResponsesScanner.Scan(body.Bytes.Span, ref found.Fields) is { } refusal)
        {
            return refusal;
        }
        var name = new JsonText(body.Bytes.Slice(found.Fields.Model.Offset, found.Fields.Model.Length)).ToString();
        found.Entry = name.Length > 512 ? null : request.Snapshot.Part<RouteTable>().Find(name, EndpointFamily.Responses!);
        return found.Entry is { } entry && ModelEndpoint.IsGranted(request.Key!, entry.Name) ? null : OpenAiErrors.ModelNotFound(name.Length > 512 ? "?" : name);
    }

    private static string KeyOf(HttpContext context) => GatewayRequest.Of(context).Key!.Id;

    /// <summary>Finds a response: here, or with the provider that made it.</summary>
    private Task AnswerAsync(HttpContext context, string path, Func<StoredResponse, Task> answer)
    {
        var (key, id) = (KeyOf(context), (string)context.Request.RouteValues["id"]!);
        if (store.Find(key, id) is { } found)
        {
            return answer(found);
        }
        var background = BackgroundResponses.Find(context, id);
        if ((background?.Provider ?? store.FindProvider(key, id)) is { } provider && ProviderResponses.FindTarget(GatewayRequest.Of(context), provider) is { } target)
        {
            return providers.AskAsync(context, target, id, path, background);
        }
        return OpenAiErrorFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "not_found",
            $"Response with id '{(id.Length > 128 ? id[..128] : id)}' not found. Responses of this key's are kept for {ResponseStore.Life.TotalHours.ToString(CultureInfo.InvariantCulture)} hours, those with 'store' false not at all."));
    }

    private static async Task ListAsync(HttpContext context, StoredResponse found)
    {
        var query = context.Request.Query;
        var limit = UsualPage;
        if (query["limit"] is [{ } asked] && (!int.TryParse(asked, CultureInfo.InvariantCulture, out limit) || limit is < 1 or > MaxPage))
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, OpenAiErrors.Invalid("limit", $"a whole number from 1 to {MaxPage}"));
            return;
        }
        List<(string Id, ReadOnlyMemory<byte> Raw)> items = [];
        byte[] array = [(byte)'[', .. found.Input.Span, (byte)']'];
        var elements = new JsonArrayReader(new JsonValue(array));
        while (elements.Next(out var element))
        {
            if (element.IsObject)
            {
                var id = JsonMembers.Of(element.Raw).Take("id"u8).Text;
                items.Add((id.IsBlank ? $"item_{found.Id}_{items.Count}" : id.ToString(), element.Raw));
            }
        }
        if (query["order"] != "asc")
        {
            items.Reverse();
        }
        var from = query["after"] is [{ } after] ? items.FindIndex(item => item.Id == after) + 1 : 0;
        var page = items.Skip(from).Take(limit).ToList();
        var output = new ArrayBufferWriter<byte>();
        var json = new JsonObjectWriter(output);
        json.Text("object"u8, "list");
        json.Name("data"u8);
        output.WriteByte((byte)'[');
        for (var i = 0; i < page.Count; i++)
        {
            output.Write(i > 0 ? ","u8 : default);
            WriteItem(output, page[i].Id, page[i].Raw);
        }
        output.WriteByte((byte)']');
        json.Name("first_id"u8);
        output.WriteText(page.Count > 0 ? page[0].Id : null);
        json.Name("last_id"u8);
        output.WriteText(page.Count > 0 ? page[^1].Id : null);
        json.Boolean("has_more"u8, from + page.Count < items.Count);
        json.End();
        await WriteAsync(context, output.WrittenMemory);
    }

    /// <summary>Writes an input item, with the type and the id that the client may have left out.</summary>
    private static void WriteItem(ArrayBufferWriter<byte> output, string id, ReadOnlyMemory<byte> raw)
    {
        var members = JsonMembers.Of(raw);
        members.Take("id"u8);
        var type = members.Take("type"u8).Text;
        var content = members.Take("content"u8);
        var bag = new ExtensionBag();
        members.LeaveTo(bag);
        var json = new JsonObjectWriter(output);
        json.Text("id"u8, id);
        json.Text("type"u8, type.Exists ? type : JsonText.From("message"));
        json.Members(bag);
        if (content.IsText)
        {
            json.Name("content"u8);
            output.Write("[{\"type\":\"input_text\",\"text\":"u8);
            output.WriteText(content.Text);
            output.Write("}]"u8);
        }
        else
        {
            json.Raw("content"u8, content.Raw);
        }
        json.End();
    }

    private static async Task WriteAsync(HttpContext context, ReadOnlyMemory<byte> json)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        await context.Response.BodyWriter.WriteAsync(json, context.RequestAborted);
    }
}

/// <summary>Maps the endpoints.</summary>
internal static class ResponsesRoutes
{
    /// <summary>Maps <c>/responses</c> below <c>/v1</c> and below the drop-in roots, all for virtual keys.</summary>
    public static IEndpointRouteBuilder MapResponses(this IEndpointRouteBuilder app)
    {
        if (EndpointFamily.Responses is null || app.ServiceProvider.GetService<ResponsesEndpoints>() is not { } endpoints)
        {
            return app;
        }
        var sockets = app.CreateApplicationBuilder().UseWebSockets(new WebSocketOptions { KeepAliveInterval = TimeSpan.FromSeconds(30), KeepAliveTimeout = TimeSpan.FromSeconds(30) });
        sockets.Run(context => context.RequestServices.GetRequiredService<ResponsesSockets>().AnswerAsync(context));
        var socket = sockets.Build();
        foreach (var root in new[] { "/v1/responses", "/openai/responses", "/openai/v1/responses" })
        {
            Map(root, HttpMethods.Get, socket);
            Map(root, HttpMethods.Post, endpoints.CreateAsync);
            Map(root + "/input_tokens", HttpMethods.Post, endpoints.CountAsync);
            Map(root + "/{id}", HttpMethods.Get, endpoints.GetAsync);
            Map(root + "/{id}", HttpMethods.Delete, endpoints.DeleteAsync);
            Map(root + "/{id}/cancel", HttpMethods.Post, endpoints.CancelAsync);
            Map(root + "/{id}/input_items", HttpMethods.Get, endpoints.ListInputAsync);
        }
        return app;

        void Map(string path, string method, RequestDelegate answer) => app.MapMethods(path, [method], answer).ForCaller(CallerKind.VirtualKey, OpenAiErrorFormat.Instance);
    }
}
