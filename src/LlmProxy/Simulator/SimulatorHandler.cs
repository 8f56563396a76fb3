using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>What the simulator answers to one request.</summary>
/// <param name="Body">The answer's bytes.</param>
/// <param name="Status">Its status.</param>
/// <param name="Type">Its media type.</param>
internal readonly record struct SimulatorAnswer(byte[] Body, HttpStatusCode Status = HttpStatusCode.OK, string Type = "application/json")
{
    public static SimulatorAnswer Invalid(string message, string code, string member) => new(SimulatorWriter.Error(message, code, member), HttpStatusCode.BadRequest);

    public static SimulatorAnswer UnknownModel(string message) => new(SimulatorWriter.Error(message, "model_not_found", "model"), HttpStatusCode.NotFound);
}

/// <summary>
/// A model provider without a network: it stands where a provider's connection would, so that a request takes the very same way as to a real one.
/// <c>echo</c> repeats the last user message, or the prompt; <c>tools</c> calls the first tool it is given, and sums up what came of it; <c>embed</c>
/// and <c>moderation</c> answer to the other endpoints. Every text says that it is simulated.
/// </summary>
internal sealed class SimulatorHandler : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = await request.Content!.ReadAsByteArrayAsync(cancellationToken);
        var answer = Reply(request.RequestUri!.AbsolutePath, body);
        var content = new ByteArrayContent(answer.Body);
        content.Headers.ContentType = new MediaTypeHeaderValue(answer.Type);
        return new HttpResponseMessage(answer.Status) { Content = content };
    }

    private static SimulatorAnswer Reply(string path, byte[] body)
    {
        var (isChat, member) = path switch
        {
            "/v1/embeddings" or "/v1/moderations" => (false, "input"),
            "/v1/completions" => (false, "prompt"),
            _ => (true, "messages"),
        };
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 128 });
            return path switch
            {
                "/v1/embeddings" => SimulatorEmbeddings.Reply(document.RootElement),
                "/v1/moderations" => SimulatorModerations.Reply(document.RootElement),
                "/v1/completions" => SimulatorTexts.Reply(document.RootElement),
                _ => Chat(document.RootElement, body.Length),
            };
        }
        catch (InvalidOperationException)
        {
            return SimulatorAnswer.Invalid($"{(isChat ? "A message" : $"'{member}'")} holds escapes that make no character.", $"invalid_{member}", member);
        }
    }

    private static SimulatorAnswer Chat(JsonElement root, int bodyBytes)
    {
        var prompt = SimulatorPrompt.Read(root, bodyBytes);
        if (prompt.Model is not ("echo" or "tools"))
        {
            return SimulatorAnswer.UnknownModel("The simulator has two models for chat completions: 'echo' and 'tools'.");
        }
        if (prompt.LastText is null)
        {
            return SimulatorAnswer.Invalid("'messages' must be an array with at least one message.", "invalid_messages", "messages");
        }
        var reply = SimulatorReply.To(prompt);
        return prompt.Stream ? new(SimulatorWriter.Stream(prompt, reply), Type: "text/event-stream") : new(SimulatorWriter.Completion(prompt, reply));
    }
}
