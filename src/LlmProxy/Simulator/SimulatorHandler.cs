using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>
/// A model provider without a network: it stands where a provider's connection would, so that a request takes the very same way as to a real one.
/// <c>echo</c> repeats the last user message; <c>tools</c> calls the first tool it is given, and sums up what came of it. Every answer says that it
/// is simulated.
/// </summary>
internal sealed class SimulatorHandler : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = await request.Content!.ReadAsByteArrayAsync(cancellationToken);
        try
        {
            return Reply(body);
        }
        catch (InvalidOperationException)
        {
            return Answer(HttpStatusCode.BadRequest, "application/json", SimulatorWriter.Error("A message holds escapes that make no character.", "invalid_messages", "messages"));
        }
    }

    private static HttpResponseMessage Reply(byte[] body)
    {
        using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 128 });
        var prompt = SimulatorPrompt.Read(document.RootElement, body.Length);
        if (prompt.Model is not ("echo" or "tools"))
        {
            return Answer(HttpStatusCode.NotFound, "application/json", SimulatorWriter.Error("The simulator has two models: 'echo' and 'tools'.", "model_not_found", "model"));
        }
        if (prompt.LastText is null)
        {
            return Answer(HttpStatusCode.BadRequest, "application/json", SimulatorWriter.Error("'messages' must be an array with at least one message.", "invalid_messages", "messages"));
        }
        var reply = SimulatorReply.To(prompt);
        return prompt.Stream
            ? Answer(HttpStatusCode.OK, "text/event-stream", SimulatorWriter.Stream(prompt, reply))
            : Answer(HttpStatusCode.OK, "application/json", SimulatorWriter.Completion(prompt, reply));
    }

    private static HttpResponseMessage Answer(HttpStatusCode status, string type, byte[] body)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        return new HttpResponseMessage(status) { Content = content };
    }
}
