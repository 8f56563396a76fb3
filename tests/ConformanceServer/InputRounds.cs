#pragma warning disable MCP9005 // Sampling and roots are deprecated, and the suite tests them all the same.
using System.Security.Cryptography;
using System.Text;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>Requests that need to know something before they are answered, in the way of the stateless revision.</summary>
internal static class InputRounds
{
    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    /// <summary>The answer of a tool of this kind; null: there is none of that name.</summary>
    public static CallToolResult? Call(RequestContext<CallToolRequestParams> request)
    {
        var parameters = request.Params!;
        switch (parameters.Name)
        {
            case "test_input_required_result_elicitation":
                return Elicitation(parameters);
            case "test_input_required_result_sampling":
                var sample = Find(parameters, "capital_question") ?? throw Ask(null, ("capital_question", InputRequest.ForSampling(Questions.Sampling("What is the capital of France?", 100))));
                return Fixture.Text($"Sampled: {(sample.Deserialize(InputResponse.CreateMessageResultJsonTypeInfo)!.Content[0] as TextContentBlock)?.Text}");
            case "test_input_required_result_list_roots":
                var roots = Find(parameters, "client_roots") ?? throw Ask(null, ("client_roots", InputRequest.ForRootsList(new ListRootsRequestParams())));
                return Fixture.Text($"Roots: {roots.Deserialize(InputResponse.ListRootsResultJsonTypeInfo)!.Roots.Count}");
            case "test_input_required_result_request_state" or "test_input_required_result_tampered_state":
                if (Open(parameters) != "first" || Find(parameters, "confirm") is null)
                {
                    throw Ask(Seal("first"), ("confirm", InputRequest.ForElicitation(Questions.Of("Please confirm", "ok", "boolean"))));
                }
                return Fixture.Text("state-ok");
            case "test_input_required_result_multiple_inputs":
                if (Open(parameters) is null || Find(parameters, "user_name") is null || Find(parameters, "greeting") is null || Find(parameters, "client_roots") is null)
                {
                    throw Ask(Seal("all"), ("user_name", InputRequest.ForElicitation(Questions.Of("What is your name?", "name"))), ("greeting", InputRequest.ForSampling(Questions.Sampling("Generate a greeting", 50))),
                        ("client_roots", InputRequest.ForRootsList(new ListRootsRequestParams())));
                }
                return Fixture.Text("All three answers are here.");
            case "test_input_required_result_multi_round":
                return (Open(parameters), Find(parameters, "step1"), Find(parameters, "step2")) switch
                {
                    ("one", not null, _) => throw Ask(Seal("two"), ("step2", InputRequest.ForElicitation(Questions.Of("Step 2: What is your favorite color?", "color")))),
                    ("two", _, not null) => Fixture.Text("Both steps are done."),
                    _ => throw Ask(Seal("one"), ("step1", InputRequest.ForElicitation(Questions.Of("Step 1: What is your name?", "name")))),
                };
            case "test_input_required_result_capabilities":
                var asked = new List<(string, InputRequest)>();
                if (request.Server.ClientCapabilities?.Sampling is not null)
                {
                    asked.Add(("greeting", InputRequest.ForSampling(Questions.Sampling("Generate a greeting", 50))));
                }
                if (request.Server.ClientCapabilities?.Elicitation is not null)
                {
                    asked.Add(("user_name", InputRequest.ForElicitation(Questions.Of("What is your name?", "name"))));
                }
                return asked.Count == 0 || asked.All(one => Find(parameters, one.Item1) is not null) ? Fixture.Text("done") : throw Ask(null, [.. asked]);
            default:
                return null;
        }
    }

    /// <summary>Whether a server cannot ask by itself.</summary>
    public static bool IsStateless(McpServer server) => server.NegotiatedProtocolVersion == "2026-07-28";

    /// <summary>The client's answer, or the question.</summary>
    public static ElicitResult Elicit(CallToolRequestParams parameters, ElicitRequestParams question) =>
        (Find(parameters, "form") ?? throw Ask(null, ("form", InputRequest.ForElicitation(question)))).Deserialize(InputResponse.ElicitResultJsonTypeInfo)!;

    /// <summary>The client's sample, or the question.</summary>
    public static CreateMessageResult Sample(CallToolRequestParams parameters, CreateMessageRequestParams question) =>
        (Find(parameters, "sample") ?? throw Ask(null, ("sample", InputRequest.ForSampling(question)))).Deserialize(InputResponse.CreateMessageResultJsonTypeInfo)!;

    public static CallToolResult Elicitation(CallToolRequestParams parameters)
    {
        try
        {
            if (Find(parameters, "user_name")?.Deserialize(InputResponse.ElicitResultJsonTypeInfo)?.Content?["name"].GetString() is { } name)
            {
                return Fixture.Text($"Hello, {name}!");
            }
        }
        catch (System.Text.Json.JsonException)
        {
            throw new McpProtocolException("'user_name' is not an elicitation's result.", McpErrorCode.InvalidParams);
        }
        throw Ask(null, ("user_name", InputRequest.ForElicitation(Questions.Of("What is your name?", "name"))));
    }

    public static GetPromptResult Prompt(GetPromptRequestParams parameters)
    {
        var context = Find(parameters, "user_context") ?? throw Ask(null, ("user_context", InputRequest.ForElicitation(Questions.Of("What context should the prompt use?", "context"))));
        var text = context.Deserialize(InputResponse.ElicitResultJsonTypeInfo)?.Content?["context"].ToString();
        return new GetPromptResult { Messages = [new PromptMessage { Role = Role.User, Content = new TextContentBlock { Text = $"Use {text}." } }] };
    }

    private static InputResponse? Find(RequestParams parameters, string key) => parameters.InputResponses?.TryGetValue(key, out var answer) == true ? answer : null;

    private static InputRequiredException Ask(string? state, params (string Key, InputRequest Request)[] requests) => new(requests.ToDictionary(one => one.Key, one => one.Request), state);

    private static string Seal(string state) => $"{state}.{Convert.ToHexString(HMACSHA256.HashData(Key, Encoding.UTF8.GetBytes(state)))}";

    /// <summary>The state that comes back; null: there is none.</summary>
    private static string? Open(RequestParams parameters)
    {
        if (parameters.RequestState is not { } sealedState)
        {
            return null;
        }
        var state = sealedState.Split('.')[0];
        return Seal(state) == sealedState ? state : throw new McpProtocolException("The state was changed.", McpErrorCode.InvalidParams);
    }
}
