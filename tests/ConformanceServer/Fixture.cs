#pragma warning disable MCP9005, MCP9006 // Sampling, logging and sessions are deprecated, and the suite tests them all the same.
using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>Tools, prompts and resources under the names of the suite.</summary>
internal static class Fixture
{
    private const string Png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    private const string Wav = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(50);

    public static void Configure(McpServerOptions options, ChangingTools changing)
    {
        options.ServerInfo = new Implementation { Name = "conformance", Version = "1.0.0" };
        options.Capabilities = new ServerCapabilities
        {
            Tools = new ToolsCapability { ListChanged = true },
            Prompts = new PromptsCapability { ListChanged = true },
            Resources = new ResourcesCapability { Subscribe = true },
            Logging = new LoggingCapability(),
            Completions = new CompletionsCapability(),
        };
        options.ToolCollection = changing.Tools;
        options.PromptCollection = changing.Prompts;
        var handlers = options.Handlers;
        handlers.ListToolsHandler = (_, _) => ValueTask.FromResult(new ListToolsResult { Tools = [.. Definitions.All] });
        handlers.CallToolHandler = (request, cancellationToken) => CallAsync(request, changing, cancellationToken);
        handlers.ListPromptsHandler = (_, _) => ValueTask.FromResult(new ListPromptsResult { Prompts = [.. Definitions.Prompts] });
        handlers.GetPromptHandler = (request, _) => ValueTask.FromResult(GetPrompt(request.Params!));
        handlers.ListResourcesHandler = (_, _) => ValueTask.FromResult(new ListResourcesResult { Resources = [.. Definitions.Resources] });
        handlers.ListResourceTemplatesHandler = (_, _) => ValueTask.FromResult(new ListResourceTemplatesResult
        {
            ResourceTemplates = [new ResourceTemplate { UriTemplate = "test://template/{id}/data", Name = "template", Description = "Data by id", MimeType = "application/json" }],
        });
        handlers.ReadResourceHandler = (request, _) => ValueTask.FromResult(Read(request.Params!.Uri));
        handlers.SubscribeToResourcesHandler = (_, _) => ValueTask.FromResult(new EmptyResult());
        handlers.UnsubscribeFromResourcesHandler = (_, _) => ValueTask.FromResult(new EmptyResult());
        handlers.SetLoggingLevelHandler = (_, _) => ValueTask.FromResult(new EmptyResult());
        handlers.CompleteHandler = (request, _) => ValueTask.FromResult(new CompleteResult
        {
            Completion = new Completion { Values = [.. new[] { "paris", "park", "party" }.Where(value => value.StartsWith(request.Params!.Argument.Value, StringComparison.Ordinal))] },
        });
    }

    private static async ValueTask<CallToolResult> CallAsync(RequestContext<CallToolRequestParams> request, ChangingTools changing, CancellationToken cancellationToken)
    {
        var (server, parameters) = (request.Server, request.Params!);
        switch (parameters.Name)
        {
            case "test_simple_text":
                return Text("This is a simple text response for testing.");
            case "test_image_content":
                return new CallToolResult { Content = [Image()] };
            case "test_audio_content":
                return new CallToolResult { Content = [AudioContentBlock.FromBytes(Convert.FromBase64String(Wav), "audio/wav")] };
            case "test_embedded_resource":
                return new CallToolResult { Content = [Embedded("test://embedded-resource", "This is an embedded resource content.")] };
            case "test_multiple_content_types":
                return new CallToolResult { Content = [new TextContentBlock { Text = "Multiple content types test:" }, Image(), Embedded("test://mixed-content-resource", """{"test":"data","value":123}""", "application/json")] };
            case "test_tool_with_logging" or "test_logging_tool":
                foreach (var words in (string[])["Tool execution started", "Tool processing data", "Tool execution completed"])
                {
                    await LogAsync(server, parameters, words, cancellationToken);
                    await Task.Delay(Moment, cancellationToken);
                }
                return Text("Logged.");
            case "test_tool_with_progress":
                foreach (var progress in (int[])[0, 50, 100])
                {
                    if (parameters.ProgressToken is { } token)
                    {
                        await server.NotifyProgressAsync(token, new ProgressNotificationValue { Progress = progress, Total = 100, Message = $"Completed step {progress} of 100" }, cancellationToken: cancellationToken);
                    }
                    await Task.Delay(Moment, cancellationToken);
                }
                return Text("Done.");
            case "test_error_handling":
                return new CallToolResult { IsError = true, Content = [new TextContentBlock { Text = "This tool intentionally returns an error for testing" }] };
            case "test_sampling":
                var sampled = InputRounds.IsStateless(server)
                    ? InputRounds.Sample(parameters, Questions.Sampling(parameters.Arguments!["prompt"].GetString()!, 100))
                    : await server.SampleAsync(Questions.Sampling(parameters.Arguments!["prompt"].GetString()!, 100), cancellationToken);
                return Text($"LLM response: {(sampled.Content[0] as TextContentBlock)?.Text}");
            case "test_elicitation":
                return Answered("User response", await ElicitAsync(server, parameters, Questions.User(parameters.Arguments!["message"].GetString()!), cancellationToken));
            case "test_elicitation_sep1034_defaults":
                return Answered("Elicitation completed", await ElicitAsync(server, parameters, Questions.Defaults, cancellationToken));
            case "test_elicitation_sep1330_enums":
                return Answered("Elicitation completed", await ElicitAsync(server, parameters, Questions.Enums, cancellationToken));
            case "test_reconnection":
                await request.EnablePollingAsync(TimeSpan.FromMilliseconds(500), cancellationToken);
                await Task.Delay(Moment * 2, cancellationToken);
                return Text("Reconnection test completed successfully. If you received this, the client properly reconnected after stream closure.");
            case "json_schema_2020_12_tool":
                return Text("valid");
            case "test_custom_headers":
                return Text(JsonSerializer.Serialize(parameters.Arguments));
            case "test_missing_capability":
                throw new MissingRequiredClientCapabilityException(new ClientCapabilities { Sampling = new SamplingCapability() }, "This tool needs sampling.");
            case "test_streaming_elicitation":
                return InputRounds.Elicitation(parameters);
            case "test_trigger_tool_change":
                changing.ChangeTools();
                return Text("changed");
            case "test_trigger_prompt_change":
                changing.ChangePrompts();
                return Text("changed");
            default:
                return InputRounds.Call(request) ?? throw new McpProtocolException($"Unknown tool: {parameters.Name}", McpErrorCode.InvalidParams);
        }
    }

    private static async ValueTask<ElicitResult> ElicitAsync(McpServer server, CallToolRequestParams parameters, ElicitRequestParams question, CancellationToken cancellationToken) =>
        InputRounds.IsStateless(server) ? InputRounds.Elicit(parameters, question) : await server.ElicitAsync(question, cancellationToken);

    private static GetPromptResult GetPrompt(GetPromptRequestParams parameters) => parameters.Name switch
    {
        "test_simple_prompt" => Says(new TextContentBlock { Text = "This is a simple prompt for testing." }),
        "test_prompt_with_arguments" => Says(new TextContentBlock { Text = $"Prompt with arguments: arg1='{Argument(parameters, "arg1")}', arg2='{Argument(parameters, "arg2")}'" }),
        "test_prompt_with_embedded_resource" => Says(Embedded(Argument(parameters, "resourceUri"), "Embedded resource content for testing."), new TextContentBlock { Text = "Please process the embedded resource above." }),
        "test_prompt_with_image" => Says(Image(), new TextContentBlock { Text = "Please analyze the image above." }),
        "test_input_required_result_prompt" => InputRounds.Prompt(parameters),
        _ => throw new McpProtocolException($"Unknown prompt: {parameters.Name}", McpErrorCode.InvalidParams),
    };

    private static string Argument(GetPromptRequestParams parameters, string name) => parameters.Arguments?.TryGetValue(name, out var value) == true ? value.GetString()! : "";

    private static ReadResourceResult Read(string uri)
    {
        ResourceContents contents = uri switch
        {
            "test://static-text" => new TextResourceContents { Uri = uri, MimeType = "text/plain", Text = "This is the content of the static text resource." },
            "test://static-binary" => BlobResourceContents.FromBytes(Convert.FromBase64String(Png), uri, "image/png"),
            "test://watched-resource" => new TextResourceContents { Uri = uri, MimeType = "text/plain", Text = "Watched resource content" },
            _ when uri.StartsWith("test://template/", StringComparison.Ordinal) && uri.EndsWith("/data", StringComparison.Ordinal) =>
                new TextResourceContents { Uri = uri, MimeType = "application/json", Text = JsonSerializer.Serialize(new { id = uri.Split('/')[3], templateTest = true, data = $"Data for ID: {uri.Split('/')[3]}" }) },
            _ => throw new McpProtocolException("Resource not found", McpErrorCode.ResourceNotFound),
        };
        return new ReadResourceResult { Contents = [contents] };
    }

    private static GetPromptResult Says(params ContentBlock[] blocks) => new() { Messages = [.. blocks.Select(block => new PromptMessage { Role = Role.User, Content = block })] };

    private static ImageContentBlock Image() => ImageContentBlock.FromBytes(Convert.FromBase64String(Png), "image/png");

    private static EmbeddedResourceBlock Embedded(string uri, string text, string mimeType = "text/plain") => new() { Resource = new TextResourceContents { Uri = uri, MimeType = mimeType, Text = text } };

    private static CallToolResult Answered(string words, ElicitResult result) => Text($"{words}: action={result.Action}, content={JsonSerializer.Serialize(result.Content)}");

    internal static CallToolResult Text(string text) => new() { Content = [new TextContentBlock { Text = text }] };

    // A request of the stateless revision gets log messages only if it asks for them.
    private static async Task LogAsync(McpServer server, CallToolRequestParams parameters, string words, CancellationToken cancellationToken)
    {
        if (server.NegotiatedProtocolVersion != "2026-07-28" || parameters.Meta?.ContainsKey("io.modelcontextprotocol/logLevel") == true)
        {
            await server.SendNotificationAsync("notifications/message", new LoggingMessageNotificationParams { Level = LoggingLevel.Info, Data = JsonSerializer.SerializeToElement(words) }, cancellationToken: cancellationToken);
        }
    }
}
