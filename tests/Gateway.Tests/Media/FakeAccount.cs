using System.Collections.Concurrent;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Media;

/// <summary>An account at a provider, with its files and batches in memory: what every key of the gateway shares there.</summary>
internal sealed class FakeAccount : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, byte[]> files = new();
    private readonly ConcurrentDictionary<string, string> batches = new();
    private int next;

    private FakeAccount(FakeProvider provider) => Provider = provider;

    public FakeProvider Provider { get; }

    public static async Task<FakeAccount> StartAsync()
    {
        var account = new FakeAccount(await FakeProvider.StartAsync(TestContext.Current.CancellationToken));
        account.Provider.Otherwise = account.Answer;
        return account;
    }

    /// <summary>Puts a file there, as if another key of the account had.</summary>
    public string AddFile(byte[] content)
    {
        var id = $"file-{Interlocked.Increment(ref next)}";
        files[id] = content;
        return id;
    }

    /// <summary>Lets a batch end.</summary>
    public void Finish(string batch, long inputTokens, long outputTokens)
    {
        var output = AddFile("{\"custom_id\":\"1\"}\n"u8.ToArray());
        batches[batch] = $$$"""{"id":"{{{batch}}}","object":"batch","endpoint":"/v1/chat/completions","model":"m","input_file_id":"x","completion_window":"24h","status":"completed","output_file_id":"{{{output}}}","error_file_id":null,"created_at":1,"request_counts":{"total":1,"completed":1,"failed":0},"usage":{"input_tokens":{{{inputTokens}}},"input_tokens_details":{"cached_tokens":0},"output_tokens":{{{outputTokens}}},"output_tokens_details":{"reasoning_tokens":0},"total_tokens":{{{inputTokens + outputTokens}}}},"metadata":null}""";
    }

    public bool HasFile(string id) => files.ContainsKey(id);

    public ValueTask DisposeAsync() => Provider.DisposeAsync();

    private FakeReply Answer(FakeProviderRequest request)
    {
        var path = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries)[1..];
        return (request.Method, path) switch
        {
            ("POST", ["files"]) => FakeReply.Json(200, FileJson(AddFile(request.Body))),
            ("GET", ["files", var id]) when files.ContainsKey(id) => FakeReply.Json(200, FileJson(id)),
            ("GET", ["files", var id, "content"]) when files.TryGetValue(id, out var content) => new FakeReply { ContentType = "application/octet-stream", Pieces = [new FakePiece(content)] },
            ("DELETE", ["files", var id]) when files.TryRemove(id, out _) => FakeReply.Json(200, $$"""{"id":"{{id}}","object":"file","deleted":true}"""),
            ("POST", ["batches"]) => FakeReply.Json(200, AddBatch(request.Json)),
            ("GET", ["batches", var id]) when batches.TryGetValue(id, out var batch) => FakeReply.Json(200, batch),
            ("POST", ["batches", var id, "cancel"]) when batches.TryGetValue(id, out var batch) => FakeReply.Json(200, batch.Replace("validating", "cancelling", StringComparison.Ordinal)),
            _ => FakeReply.Error(404, "No such object."),
        };
    }

    private string FileJson(string id) =>
        $$"""{"object":"file","id":"{{id}}","purpose":"batch","filename":"requests.jsonl","bytes":{{files[id].Length}},"created_at":1,"expires_at":null,"status":"processed","status_details":null}""";

    private string AddBatch(JsonElement request)
    {
        var id = $"batch_{Interlocked.Increment(ref next)}";
        return batches[id] = $$"""{"id":"{{id}}","object":"batch","endpoint":{{request.GetProperty("endpoint").GetRawText()}},"input_file_id":{{request.GetProperty("input_file_id").GetRawText()}},"completion_window":"24h","status":"validating","output_file_id":null,"error_file_id":null,"created_at":1,"metadata":null}""";
    }
}
