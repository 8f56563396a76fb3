using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>
/// What a server of the stateless revision wants to know before it answers (an <c>input_required</c> result; specification 2026-07-28, basic/utilities/mrtr), asked of a
/// client that expects requests instead: each is put to it, and the request is made again with the answers.
/// </summary>
internal static class InputRounds
{
    /// <summary>The most times that a server may ask for more during one request.</summary>
    public const int MostRounds = 10;

    /// <summary>The most questions of one round.</summary>
    public const int MostQuestions = 32;

    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = RpcFrame.MaxDepth };
    private static readonly JsonSerializerOptions Writing = new() { MaxDepth = RpcFrame.MaxDepth, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Whether a server wants to know something first.</summary>
    public static bool IsInputRequired(ToolCallOutcome outcome) =>
        !outcome.IsError && outcome.Result.Span.IndexOf("input_required"u8) >= 0 && JsonMembers.FindString(outcome.Result.Span, "resultType"u8) == "input_required";

    /// <summary>Asks and makes the request again, until there is an answer.</summary>
    public static async ValueTask<ToolCallOutcome> RunAsync(
        string server, UpstreamCall call, ToolCallOutcome outcome, Func<UpstreamCall, CancellationToken, ValueTask<ToolCallOutcome>> again, CancellationToken cancellationToken)
    {
        for (var round = 0; IsInputRequired(outcome); round++)
        {
            if (round == MostRounds)
            {
                return RpcError.Of(RpcError.UpstreamInvalid, $"Tool server '{server}' asked for more than {MostRounds} times.");
            }
            if (JsonNode.Parse(outcome.Result.Span, documentOptions: Reading) is not JsonObject wanted)
            {
                return RpcError.Of(RpcError.UpstreamInvalid, $"Tool server '{server}' asked for something that is no question.");
            }
            call.Outer?.Stop();
            var (answers, error) = await AskAsync(server, call.Peer, wanted["inputRequests"] as JsonObject ?? [], cancellationToken);
            call.Outer?.Start();
            if (error is { } failed)
            {
                return failed;
            }
            var parameters = (JsonObject)JsonNode.Parse(call.Params.Json.Span, documentOptions: Reading)!;
            parameters.Remove("requestState");
            parameters["inputResponses"] = answers;
            if (wanted["requestState"] is { } state)
            {
                parameters["requestState"] = state.DeepClone();
            }
            if (ToolParams.Read(JsonSerializer.SerializeToUtf8Bytes(parameters, Writing), out var next, call.Method == "resources/read" ? "uri" : "name") is { } wrong)
            {
                return RpcError.Of(RpcError.InvalidParams, wrong);
            }
            outcome = await again(call.With(next), cancellationToken);
        }
        return outcome;
    }

    private static async ValueTask<(JsonObject Answers, ToolCallOutcome? Error)> AskAsync(string server, IClientPeer? peer, JsonObject questions, CancellationToken cancellationToken)
    {
        var answers = new JsonObject();
        if (questions.Count > MostQuestions)
        {
            return (answers, RpcError.Of(RpcError.UpstreamInvalid, $"Tool server '{server}' asked more than {MostQuestions} things at once."));
        }
        foreach (var (key, question) in questions)
        {
            if ((question as JsonObject)?["method"] is not JsonValue value || !value.TryGetValue(out string? method))
            {
                return (answers, RpcError.Of(RpcError.UpstreamInvalid, $"Tool server '{server}' asked for something that is no question."));
            }
            var parameters = question["params"] is { } given ? JsonSerializer.SerializeToUtf8Bytes(given, Writing) : "{}"u8.ToArray();
            if (ClientRelay.LackOf(peer, method, parameters) is { } lack)
            {
                return (answers, RpcError.Of(RpcError.InvalidParams, $"Tool server '{server}' needs to ask for '{method}', but the client does not support {lack}."));
            }
            var answer = await peer!.AskAsync(method, parameters, cancellationToken);
            if (answer.IsError)
            {
                return (answers, answer);
            }
            answers[key] = JsonNode.Parse(answer.Result.Span, documentOptions: Reading);
        }
        return (answers, null);
    }
}
