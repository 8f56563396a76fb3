using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace UnrulyToolServer;

/// <summary>
/// A tool server on the standard streams that misbehaves as it is told: by its first argument for its whole life, and by the tools that are called.
/// </summary>
internal static class Program
{
    private static readonly Stream Output = Console.OpenStandardOutput();
    private static readonly string[] ToolNames = ["echo", "env", "progress", "hang", "cancellations", "large", "garbage", "exit", "strangers", "grow", "ask", "child", "deaf", "mute"];
    private static readonly Dictionary<string, TaskCompletionSource<string>> Asked = [];
    private static readonly List<string> Cancelled = [];
    private static bool isGrown;
    private static bool isModern;

    private static async Task<int> Main(string[] arguments)
    {
        var mode = arguments.Length > 0 ? arguments[0] : "serve";
        switch (mode)
        {
            case "exit-at-start":
                await Console.Error.WriteLineAsync("fatal: the licence file is missing");
                return 3;
            case "flood-errors":
                for (var i = 0; i < 100_000; i++)
                {
                    await Console.Error.WriteLineAsync($"{i} {new string('x', 100)}");
                }
                break;
            case "long-line":
                Write($$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"{{{new string('m', 200_000)}}}"}}""");
                break;
        }
        isModern = mode == "modern";
        var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        while (await input.ReadLineAsync() is { } line)
        {
            if (mode == "hang-at-start")
            {
                continue;
            }
            var message = JsonNode.Parse(line)!.AsObject();
            if (message["method"] is null)
            {
                if (Asked.TryGetValue(message["id"]!.ToJsonString(), out var asked))
                {
                    asked.TrySetResult(line);
                }
                continue;
            }
            await HandleAsync(message, line);
        }
        if (mode == "stubborn")
        {
            await Task.Delay(Timeout.Infinite);
        }
        return 0;
    }

    private static async Task HandleAsync(JsonObject message, string line)
    {
        var id = message["id"]?.ToJsonString();
        switch (message["method"]!.GetValue<string>())
        {
            case "initialize":
                if (isModern)
                {
                    Error(id!, -32601, "Method not found");
                }
                else
                {
                    Reply(id!, """{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"fake","version":"1"}}""");
                }
                break;
            case "server/discover":
                Reply(id!, """{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}""");
                break;
            case "tools/list":
                Reply(id!, $$"""{"tools":[{{string.Join(',', ToolNames.Concat(isGrown ? ["grown"] : Array.Empty<string>()).Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}"""))}}]}""");
                break;
            case "notifications/cancelled":
                Cancelled.Add(message["params"]!["requestId"]!.ToJsonString());
                break;
            case "tools/call":
                await CallAsync(id!, message["params"]!.AsObject(), line);
                break;
            default:
                if (id is not null)
                {
                    Error(id, -32601, "Method not found");
                }
                break;
        }
    }

    private static async Task CallAsync(string id, JsonObject parameters, string line)
    {
        var arguments = parameters["arguments"] as JsonObject;
        switch (parameters["name"]!.GetValue<string>())
        {
            case "echo":
                Reply(id, Text(line));
                break;
            case "env":
                Reply(id, Text(string.Join(' ', Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(entry => $"{entry.Key}={entry.Value}"))));
                break;
            case "progress":
                var token = parameters["_meta"]?["progressToken"]?.ToJsonString() ?? "null";
                for (var i = 1; i <= arguments!["count"]!.GetValue<int>(); i++)
                {
                    Write($$$"""{"jsonrpc":"2.0","method":"notifications/progress","params":{"x-first":1.50,"progressToken":{{{token}}},"progress":{{{i}}}}}""");
                }
                Reply(id, Text("done"));
                break;
            case "hang":
                break;
            case "cancellations":
                Reply(id, Text(string.Join(' ', Cancelled)));
                break;
            case "large":
                Reply(id, Text(new string('l', arguments!["bytes"]!.GetValue<int>())));
                break;
            case "garbage":
                Write("this is a log line, not a message");
                Write("{\"jsonrpc\":\"2.0\",\"id\":");
                Write("{\"jsonrpc\":\"2.0\"}");
                Write("");
                Reply(id, Text("after the garbage"));
                break;
            case "exit":
                Environment.Exit(4);
                break;
            case "strangers":
                Reply("987654321", Text("for nobody"));
                Reply("\"x\"", Text("for nobody"));
                Write($$"""[{"jsonrpc":"2.0","id":{{id}},"result":{{Text("in a batch")}}}]""");
                break;
            case "grow":
                isGrown = true;
                Reply(id, Text("grown"));
                Write("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
                break;
            case "ask":
                // Its answer comes on the input, which is read again as soon as this returns.
                _ = AskAsync(id, arguments!["method"]!.GetValue<string>());
                break;
            case "child":
                using (var child = Process.Start(new ProcessStartInfo("sleep", "600") { UseShellExecute = false })!)
                {
                    Reply(id, Text(child.Id.ToString(CultureInfo.InvariantCulture)));
                }
                break;
            case "deaf":
                // From now on nothing is read, but the process lives.
                await Task.Delay(Timeout.Infinite);
                break;
            case "mute":
                Console.OpenStandardOutput().Close();
                await Task.Delay(Timeout.Infinite);
                break;
            default:
                Error(id, -32602, "Unknown tool");
                break;
        }
    }

    private static async Task AskAsync(string id, string method)
    {
        var asked = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        Asked["\"ours\""] = asked;
        Write($$"""{"jsonrpc":"2.0","id":"ours","method":"{{method}}"}""");
        Reply(id, Text(await asked.Task));
    }

    private static string Text(string text) => $$"""{"content":[{"type":"text","text":{{JsonSerializer.Serialize(text)}}}]}""";

    private static void Reply(string id, string result) => Write($$"""{"jsonrpc":"2.0","id":{{id}},"result":{{result}}}""");

    private static void Error(string id, int code, string message) => Write($$$"""{"jsonrpc":"2.0","id":{{{id}}},"error":{"code":{{{code}}},"message":"{{{message}}}"}}""");

    private static void Write(string line)
    {
        lock (Output)
        {
            Output.Write(Encoding.UTF8.GetBytes(line + "\n"));
            Output.Flush();
        }
    }
}
