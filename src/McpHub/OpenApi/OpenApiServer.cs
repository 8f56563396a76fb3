using System.Globalization;
using System.Text.Json;
using McpHub.Catalog;
using McpHub.Upstreams;
using McpHub.Upstreams.SignIn;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.OpenApi;

/// <summary>A web API as a tool server: each operation of its OpenAPI document is a tool, each call a request.</summary>
internal sealed class OpenApiServer : IToolServer
{
    /// <summary>How often a document that is a file is looked at.</summary>
    public static readonly TimeSpan FilePeriod = TimeSpan.FromSeconds(3);

    private const int MaxRedirects = 5;

    private readonly ToolManifest manifest;
    private readonly OpenApiSource source;
    private readonly HttpMessageInvoker client;
    private readonly IUpstreamCredentials? credentials;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly DocumentSource document;
    private readonly CallSlots slots;
    private readonly ApiResult results;
    private readonly CancellationTokenSource stopping = new();
    private Task watching = Task.CompletedTask;
    private volatile ApiDocument api = null!;
    private volatile string? problem;
    private int isDue;

    private OpenApiServer(ToolManifest manifest, HttpMessageInvoker client, IUpstreamCredentials? credentials, TimeProvider clock, ILogger logger)
    {
        (this.manifest, this.client, this.credentials, this.clock, this.logger) = (manifest, client, credentials, clock, logger);
        source = manifest.OpenApi ?? throw new InvalidOperationException("The manifest has no OpenAPI document.");
        document = new DocumentSource(source, client);
        slots = new CallSlots(manifest);
        results = new ApiResult(manifest);
    }

    public event Action? ToolsChanged;

    public Task<UpstreamException> Lost { get; } = new TaskCompletionSource<UpstreamException>().Task;

    public string ProtocolVersion => $"OpenAPI {api.Format}";

    public ReadOnlyMemory<byte> ServerInfo => JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["name"] = api.Title, ["version"] = api.Version });

    public string LastWords => Warning ?? "";

    public string? Warning
    {
        get
        {
            string[] all = [.. problem is { } now ? [now] : Array.Empty<string>(), .. api.Warnings];
            return all.Length == 0 ? null : string.Join(' ', all);
        }
    }

    public IReadOnlyList<QuarantinedTool> Unusable => api.Unusable;

    /// <summary>Reads the document.</summary>
    /// <param name="manifest">The server.</param>
    /// <param name="client">Connects to it.</param>
    /// <param name="credentials">What calls are signed with, beside the manifest's headers and credentials; null: nothing. The document is read without.</param>
    /// <param name="clock">The time.</param>
    /// <param name="logger">The log.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="UpstreamException">Nothing of it can be used.</exception>
    public static async Task<OpenApiServer> ConnectAsync(
        ToolManifest manifest, HttpMessageInvoker client, IUpstreamCredentials? credentials, TimeProvider clock, ILogger logger, CancellationToken cancellationToken)
    {
        var server = new OpenApiServer(manifest, client, credentials, clock, logger);
        try
        {
            await server.LoadAsync(cancellationToken);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
        server.watching = server.WatchAsync(server.stopping.Token);
        return server;
    }

    public async Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref isDue, 0) == 1)
        {
            using var deadline = new Deadline(manifest.ConnectTimeout, clock, cancellationToken);
            try
            {
                await LoadAsync(deadline.Token);
                problem = null;
            }
            catch (UpstreamException exception)
            {
                // The next look at the tools, a few minutes later, tries again.
                Volatile.Write(ref isDue, 1);
                problem = $"Its document could not be read anew, so its tools are those of before. {exception.InnerException?.Message}";
                throw;
            }
            catch (OperationCanceledException) when (deadline.HasPassed)
            {
                Volatile.Write(ref isDue, 1);
                problem = "Its document could not be read anew within the time for connecting, so its tools are those of before.";
                throw new UpstreamException(RpcError.UpstreamTimeout, UpstreamReasons.Timeout, $"The OpenAPI document of tool server '{manifest.Id}' could not be read in time.");
            }
        }
        return [.. api.Operations.Values.Select(operation => operation.Definition)];
    }

    public async ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        if (call.Method != "tools/call")
        {
            return RpcError.Of(RpcError.MethodNotFound, "Method not found");
        }
        if (!api.Operations.TryGetValue(call.Tool, out var operation))
        {
            return RpcError.UnknownTool(call.Tool);
        }
        using var deadline = new Deadline(manifest.CallTimeout, clock, cancellationToken);
        try
        {
            await slots.TakeAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw TimedOut(wasSent: false);
        }
        try
        {
            return await SendAsync(operation, call, deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            deadline.ThrowIfCallerLeft();
            throw TimedOut(call.WasSent);
        }
        finally
        {
            slots.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await watching;
        stopping.Dispose();
    }

    private async Task LoadAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await document.ReadAsync(cancellationToken) is { } bytes)
            {
                api = ApiReader.Read(DocumentText.Parse(bytes), source, OwnHeaders.Of(manifest));
            }
        }
        catch (DocumentException exception)
        {
            document.Forget();
            throw new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.InvalidDocument, $"The OpenAPI document of tool server '{manifest.Id}' cannot be used.", wasSent: false, exception) { LastWords = exception.Message };
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(source.DocumentUrl is null ? FilePeriod : source.Refresh, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                if (source.DocumentUrl is not null || document.HasChanged())
                {
                    Volatile.Write(ref isDue, 1);
                    ToolsChanged?.Invoke();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The manifest was changed or taken away, or the process ends.
        }
    }

    private async ValueTask<ToolCallOutcome> SendAsync(ApiOperation operation, UpstreamCall call, CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            var credential = credentials is null ? default : await credentials.FindAsync(call, cancellationToken);
            if (await SendOnceAsync(operation, call, credential, attempt, cancellationToken) is { } outcome)
            {
                return outcome;
            }
        }
    }

    /// <summary>Makes the request; null: it was refused, and there is another token for it now.</summary>
    private async ValueTask<ToolCallOutcome?> SendOnceAsync(ApiOperation operation, UpstreamCall call, UpstreamCredential credential, int attempt, CancellationToken cancellationToken)
    {
        HttpRequestMessage request;
        try
        {
            using var arguments = call.Params.Arguments.IsEmpty ? null : JsonDocument.Parse(call.Params.Arguments, new JsonDocumentOptions { MaxDepth = RpcFrame.MaxDepth, AllowDuplicateProperties = false });
            request = RequestBuilder.Build(manifest, operation, arguments?.RootElement ?? default);
        }
        catch (BadArgumentException exception)
        {
            return new ToolCallOutcome(ApiResult.Refuse(exception.Message), default);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return new ToolCallOutcome(ApiResult.Refuse("The arguments hold a member that stands twice, or text that is none, such as half a surrogate pair."), default);
        }
        credential.Sign(request);
        try
        {
            for (var hop = 0; ; hop++)
            {
                SetTrace(request, call);
                call.WasSent = true;
                using var response = await client.SendAsync(request, cancellationToken);
                if (hop < MaxRedirects && operation.Method is "GET" or "HEAD" && Redirects.Next(request.RequestUri!, response) is { } next)
                {
                    var again = Repeat(request, next);
                    request.Dispose();
                    request = again;
                    continue;
                }
                if (credentials is not null && UpstreamCredential.IsRefusal(response) && await credentials.TryRenewAsync(credential, response, attempt, cancellationToken))
                {
                    return null;
                }
                var reader = credential.Token is null ? results : new ApiResult(manifest, credential.Token);
                return new ToolCallOutcome(await reader.ReadAsync(operation, response, cancellationToken), default);
            }
        }
        catch (HttpRequestException exception)
        {
            var isConnected = !EgressRefusedException.Causes(exception) && exception.HttpRequestError is not (HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError);
            throw isConnected ? Broken(exception) : Unreachable(exception);
        }
        catch (IOException exception)
        {
            throw Broken(exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            // The handler's own time for connecting has passed.
            throw Unreachable(exception);
        }
        finally
        {
            request.Dispose();
        }
    }

    // A model cannot set these: they belong to the gateway's own trace.
    private static void SetTrace(HttpRequestMessage request, UpstreamCall call)
    {
        foreach (var (name, value) in new[] { ("traceparent", call.TraceParent), ("tracestate", call.TraceState) })
        {
            request.Headers.Remove(name);
            if (value is { Length: > 0 })
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }
    }

    // The query of the first request may hold a credential; where to go on is the server's to say.
    private static HttpRequestMessage Repeat(HttpRequestMessage request, Uri next)
    {
        var again = new HttpRequestMessage(request.Method, next);
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            again.Headers.TryAddWithoutValidation(name, values);
        }
        return again;
    }

    private UpstreamException TimedOut(bool wasSent) => new(RpcError.UpstreamTimeout, UpstreamReasons.Timeout,
        string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' did not answer within {manifest.CallTimeout.TotalSeconds:0.###} seconds."), wasSent);

    private UpstreamException Broken(Exception inner) => new(RpcError.UpstreamUnavailable, UpstreamReasons.Broken, $"The connection to tool server '{manifest.Id}' broke.", wasSent: true, inner);

    private UpstreamException Unreachable(Exception inner) => EgressRefusedException.Causes(inner)
        ? new(RpcError.UpstreamUnavailable, UpstreamReasons.RefusedByPolicy, $"Tool server '{manifest.Id}' is not connected: {EgressRefusedException.ForCallers}", wasSent: false, inner)
        : new(RpcError.UpstreamUnavailable, UpstreamReasons.Unreachable, $"Tool server '{manifest.Id}' cannot be reached.", wasSent: false, inner);
}
