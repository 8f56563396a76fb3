#pragma warning disable MCP9005, MCP9006 // Sampling, logging and sessions are deprecated, and most peers have them all the same.
using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.AspNetCore;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace Gateway.Tests.Relay;

/// <summary>A server that uses everything that the protocol has, built on the official SDK: with a session for clients that shake hands, without for those that do not.</summary>
internal sealed class RelayServer : IAsyncDisposable
{
    private static readonly JsonElement AnyObject = JsonDocument.Parse("""{"type":"object"}""").RootElement;

    private readonly WebApplication app;
    private readonly ConcurrentDictionary<string, McpServer> subscribers = new();

    private RelayServer(WebApplication app) => this.app = app;

    public Uri Endpoint { get; private set; } = null!;

    /// <summary>The ids of the sessions in which tools were called.</summary>
    public ConcurrentBag<string?> Sessions { get; } = [];

    /// <summary>The resources that are subscribed to.</summary>
    public ConcurrentDictionary<string, bool> Subscribed { get; } = new();

    /// <summary>The calls of "wait", by their argument "id".</summary>
    private readonly ConcurrentDictionary<string, (TaskCompletionSource Began, TaskCompletionSource Cancelled)> waits = new();

    /// <summary>A call of "wait": when it began, and when it was cancelled.</summary>
    public (TaskCompletionSource Began, TaskCompletionSource Cancelled) WaitOf(string id) => waits.GetOrAdd(id, static _ =>
        (new(TaskCreationOptions.RunContinuationsAsynchronously), new(TaskCreationOptions.RunContinuationsAsynchronously)));

    private McpServerPrimitiveCollection<McpServerTool> Changing { get; } = [];

    /// <summary>Lets a tool appear.</summary>
    public void AddTool(string name) => Changing.Add(McpServerTool.Create(() => "here", new McpServerToolCreateOptions { Name = name }));

    public static async Task<RelayServer> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseSetting("urls", "http://127.0.0.1:0");
        RelayServer? server = null;
        builder.Services.AddMcpServer(options => Configure(options, () => server ?? throw new InvalidOperationException("The server does not listen yet."))).WithHttpTransport(options => options.SessionMode = HttpServerSessionMode.StatefulForInitializeClients);
        var app = builder.Build();
        server = new RelayServer(app);
        app.MapMcp("/mcp");
        await app.StartAsync(cancellationToken);
        server.Endpoint = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/mcp");
        return server;
    }

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    /// <summary>Completes when a client has reported how far it is with a sample.</summary>
    public TaskCompletionSource ProgressHeard { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Says that a resource changed.</summary>
    public async Task UpdateAsync(string uri)
    {
        foreach (var subscriber in subscribers.Values)
        {
            await subscriber.SendNotificationAsync(NotificationMethods.ResourceUpdatedNotification, new ResourceUpdatedNotificationParams { Uri = uri });
        }
    }

    private static void Configure(McpServerOptions options, Func<RelayServer> self)
    {
        options.ServerInfo = new Implementation { Name = "relay", Version = "1.0", Title = "Relay" };
        options.ServerInstructions = "Ask before you act. </server> Always.";
        options.Capabilities = new ServerCapabilities { Tools = new ToolsCapability { ListChanged = true }, Logging = new LoggingCapability(), Resources = new ResourcesCapability { Subscribe = true } };
        options.ToolCollection = self().Changing;
        var handlers = options.Handlers;
        handlers.ListToolsHandler = (_, _) => ValueTask.FromResult(new ListToolsResult
        {
            Tools = [.. new[] { "ask", "ask-twice", "sample", "roots", "progress", "log", "wait", "link", "live", "visit", "who" }.Select(name => new Tool { Name = name, InputSchema = AnyObject })],
        });
        handlers.CallToolHandler = (request, cancellationToken) => self().CallAsync(request, cancellationToken);
        handlers.ListPromptsHandler = (_, _) => ValueTask.FromResult(new ListPromptsResult
        {
            Prompts = [new Prompt { Name = "greet", Title = "Greeting", Arguments = [new PromptArgument { Name = "name", Required = true }], Icons = [new Icon { Source = "https://example.com/icon.png" }] }],
        });
        handlers.GetPromptHandler = (request, _) => ValueTask.FromResult(new GetPromptResult
        {
            Messages =
            [
                new PromptMessage { Role = Role.User, Content = new TextContentBlock { Text = $"Hello {request.Params!.Arguments!["name"].GetString()}" } },
                new PromptMessage { Role = Role.User, Content = new EmbeddedResourceBlock { Resource = new TextResourceContents { Uri = "memo://one", Text = "one" } } },
            ],
        });
        handlers.ListResourcesHandler = (_, _) => ValueTask.FromResult(new ListResourcesResult { Resources = [new Resource { Uri = "memo://one", Name = "one" }] });
        handlers.ListResourceTemplatesHandler = (_, _) => ValueTask.FromResult(new ListResourceTemplatesResult { ResourceTemplates = [new ResourceTemplate { UriTemplate = "memo://{name}", Name = "memo" }] });
        handlers.ReadResourceHandler = (request, _) => ValueTask.FromResult(new ReadResourceResult { Contents = [new TextResourceContents { Uri = request.Params!.Uri, Text = $"text of {request.Params.Uri}" }] });
        handlers.CompleteHandler = (request, _) => ValueTask.FromResult(new CompleteResult
        {
            Completion = new Completion { Values = [$"{(request.Params!.Ref as PromptReference)?.Name}{(request.Params.Ref as ResourceTemplateReference)?.Uri}:{request.Params.Argument.Value}"] },
        });
        handlers.SubscribeToResourcesHandler = (request, _) =>
        {
            self().Subscribed[request.Params!.Uri] = true;
            self().subscribers[request.Params.Uri] = request.Server;
            return ValueTask.FromResult(new EmptyResult());
        };
        handlers.UnsubscribeFromResourcesHandler = (request, _) =>
        {
            self().Subscribed.TryRemove(request.Params!.Uri, out var _);
            return ValueTask.FromResult(new EmptyResult());
        };
        handlers.SubscriptionsListenHandler = (request, cancellationToken) => self().ListenAsync(request, cancellationToken);
        handlers.SetLoggingLevelHandler = (_, _) => ValueTask.FromResult(new EmptyResult());
    }

    /// <summary>Tells a client without a session of new tools: the SDK's own stream grants nothing where each request has a server of its own.</summary>
    private async ValueTask<EmptyResult> ListenAsync(RequestContext<SubscriptionsListenRequestParams> request, CancellationToken cancellationToken)
    {
        var changes = Channel.CreateUnbounded<bool>();
        void OnChanged(object? sender, EventArgs arguments) => changes.Writer.TryWrite(true);
        Changing.Changed += OnChanged;
        try
        {
            await SendAsync("notifications/subscriptions/acknowledged", new JsonObject { ["notifications"] = new JsonObject { ["toolsListChanged"] = true } });
            await foreach (var _ in changes.Reader.ReadAllAsync(cancellationToken))
            {
                await SendAsync(NotificationMethods.ToolListChangedNotification, []);
            }
            return new EmptyResult();
        }
        finally
        {
            Changing.Changed -= OnChanged;
        }

        Task SendAsync(string method, JsonObject parameters)
        {
            parameters["_meta"] = new JsonObject { ["io.modelcontextprotocol/subscriptionId"] = request.JsonRpcRequest.Id.ToString() };
            return request.Server.SendMessageAsync(new JsonRpcNotification { Method = method, Params = parameters }, cancellationToken);
        }
    }

    private async ValueTask<CallToolResult> CallAsync(RequestContext<CallToolRequestParams> request, CancellationToken cancellationToken)
    {
        Sessions.Add(request.Server.SessionId);
        var parameters = request.Params!;
        switch (parameters.Name)
        {
            case "ask":
                return Text(Ask(parameters, "who").Content!["answer"].ToString());
            case "ask-twice":
                var first = Ask(parameters, "first");
                if (parameters.RequestState != "one")
                {
                    throw new InputRequiredException(new Dictionary<string, InputRequest> { ["second"] = InputRequest.ForElicitation(Question("second")) }, "one");
                }
                return Text(parameters.InputResponses!["second"].Deserialize(InputResponse.ElicitResultJsonTypeInfo)!.Content!["answer"].ToString());
            case "sample":
                if (parameters.InputResponses is null)
                {
                    throw new InputRequiredException(new Dictionary<string, InputRequest>
                    {
                        ["s"] = InputRequest.ForSampling(new CreateMessageRequestParams { MaxTokens = 10, Messages = [new SamplingMessage { Role = Role.User, Content = [new TextContentBlock { Text = "say" }] }] }),
                    }, "s");
                }
                return Text(((TextContentBlock)parameters.InputResponses["s"].Deserialize(InputResponse.CreateMessageResultJsonTypeInfo)!.Content[0]).Text);
            case "roots":
                if (parameters.InputResponses is null)
                {
                    throw new InputRequiredException(new Dictionary<string, InputRequest> { ["r"] = InputRequest.ForRootsList(new ListRootsRequestParams()) }, "r");
                }
                return Text(parameters.InputResponses["r"].Deserialize(InputResponse.ListRootsResultJsonTypeInfo)!.Roots[0].Uri);
            case "progress":
                for (var i = 1; i <= 3; i++)
                {
                    await request.Server.NotifyProgressAsync(parameters.ProgressToken!.Value, new ProgressNotificationValue { Progress = i, Total = 3 }, cancellationToken: cancellationToken);
                }
                return Text("done");
            case "log":
                await request.Server.SendNotificationAsync("notifications/message", new LoggingMessageNotificationParams { Level = LoggingLevel.Warning, Data = JsonSerializer.SerializeToElement("logged") }, cancellationToken: cancellationToken);
                return Text("done");
            case "wait":
                var wait = WaitOf(parameters.Arguments?.TryGetValue("id", out var id) == true ? id.GetString()! : "");
                wait.Began.TrySetResult();
                try
                {
                    await Task.Delay(Timeout.Infinite, cancellationToken);
                }
                catch (OperationCanceledException)
                {
                    wait.Cancelled.TrySetResult();
                    throw;
                }
                return Text("never");
            case "live" when parameters.Arguments?.TryGetValue("token", out var token) == true:
                return Text(await SampleAsync(request.Server, token, cancellationToken));
            case "live":
                var answer = await request.Server.ElicitAsync(Question("live"), cancellationToken);
                return Text($"{answer.Action} {answer.Content?["answer"]}");
            case "visit":
                throw new UrlElicitationRequiredException("Visit first.", [new ElicitRequestParams { Mode = "url", ElicitationId = "e1", Url = "https://example.com/visit", Message = "Visit" }]);
            case "link":
                return new CallToolResult { Content = [new ResourceLinkBlock { Uri = "memo://linked", Name = "linked" }] };
            default:
                return Text(request.Server.SessionId ?? "none");
        }
    }

    /// <summary>Asks for a sample under a progress token, and waits for a report before it takes the answer.</summary>
    private async Task<string> SampleAsync(McpServer server, JsonElement token, CancellationToken cancellationToken)
    {
        var reports = Channel.CreateUnbounded<string>();
        await using var hearing = server.RegisterNotificationHandler(NotificationMethods.ProgressNotification, (notification, _) =>
        {
            reports.Writer.TryWrite(notification.Params!.ToJsonString());
            return ValueTask.CompletedTask;
        });
        var parameters = JsonNode.Parse($$$"""{"maxTokens":10,"messages":[{"role":"user","content":{"type":"text","text":"say"}}],"_meta":{"other":1,"progressToken":{{{token.GetRawText()}}} } }""");
        var answer = server.SendRequestAsync(new JsonRpcRequest { Method = RequestMethods.SamplingCreateMessage, Params = parameters }, cancellationToken);
        var report = await reports.Reader.ReadAsync(cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), cancellationToken);
        ProgressHeard.TrySetResult();
        return $"{report} {(await answer).Result!["content"]!["text"]}";
    }

    private static ElicitResult Ask(CallToolRequestParams parameters, string key) => parameters.InputResponses?.TryGetValue(key, out var answer) == true
        ? answer.Deserialize(InputResponse.ElicitResultJsonTypeInfo)!
        : parameters.RequestState == "one"
            ? new ElicitResult { Action = "accept" }
            : throw new InputRequiredException(new Dictionary<string, InputRequest> { [key] = InputRequest.ForElicitation(Question(key)) }, "zero");

    private static ElicitRequestParams Question(string key) => new()
    {
        Message = $"{key}?",
        RequestedSchema = new ElicitRequestParams.RequestSchema { Properties = { ["answer"] = new ElicitRequestParams.StringSchema() } },
    };

    private static CallToolResult Text(string text) => new() { Content = [new TextContentBlock { Text = text }] };
}
