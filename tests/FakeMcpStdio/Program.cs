// A tool server on standard streams that misbehaves as its first argument says. Tools: echo (text), big (text of so many bytes), env (a variable), hang.
using System.Text.Json;
using System.Text.Json.Nodes;

var mode = args.FirstOrDefault() ?? "normal";
if (mode == "exit")
{
    await Console.Error.WriteLineAsync("fatal: this server never starts");
    return 3;
}
if (mode == "flood")
{
    var line = new string('x', 1000);
    for (var i = 0; i < 5000; i++)
    {
        await Console.Error.WriteLineAsync(line);
    }
}
if (mode == "garbage")
{
    Console.WriteLine("Welcome to this fine server!");
    Console.WriteLine("{\"jsonrpc\":\"2.0\",\"id\":");
    Console.WriteLine("{\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{}}");
}
while (await Console.In.ReadLineAsync() is { } text)
{
    var message = JsonNode.Parse(text)!;
    var id = message["id"];
    if (id is null)
    {
        continue;
    }
    var result = (string?)message["method"] switch
    {
        "initialize" => """{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1"}}""",
        "tools/list" => """
            {"tools":[{"name":"echo","inputSchema":{"type":"object"},"vendor":{"x":1.50}},{"name":"big","inputSchema":{"type":"object"}},{"name":"env","inputSchema":{"type":"object"}},
            {"name":"hang","inputSchema":{"type":"object"}},{"name":"bad","inputSchema":{"type":"string"}},{"noName":true}]}
            """.ReplaceLineEndings(""),
        "tools/call" => Call(message["params"]!),
        _ => "{}",
    };
    if (result is not null)
    {
        Console.WriteLine($"{{\"jsonrpc\":\"2.0\",\"id\":{id.ToJsonString()},\"result\":{result}}}");
    }
}
return 0;

static string? Call(JsonNode parameters)
{
    var arguments = parameters["arguments"];
    var text = (string?)parameters["name"] switch
    {
        "echo" => (string?)arguments?["text"] ?? "",
        "big" => new string('y', (int)arguments!["bytes"]!),
        "env" => Environment.GetEnvironmentVariable((string)arguments!["name"]!) ?? "(unset)",
        _ => null,
    };
    return text is null ? null : $"{{\"content\":[{{\"type\":\"text\",\"text\":{JsonSerializer.Serialize(text)}}}],\"vendor\":\"kept\"}}";
}
