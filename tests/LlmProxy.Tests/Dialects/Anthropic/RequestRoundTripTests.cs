using System.Text.Json.Nodes;
using CsCheck;
using LlmProxy.Dialects.Anthropic;

namespace LlmProxy.Tests.Dialects.Anthropic;

/// <summary>A request that is decoded and encoded again for the same dialect says what it said, members that nobody here knows included.</summary>
public sealed class RequestRoundTripTests
{
    private static readonly string[] Samples = ["Hello", "", "a \"quoted\" \\ text\n", "漢字 😀", "\u2028 <b>&amp;</b>"];

    private static readonly Gen<string> Words = Gen.Int[0, Samples.Length - 1].Select(at => Samples[at]);

    private static readonly Gen<JsonNode?> Text = Words.Select(words => (JsonNode?)Node(("type", "text"), ("text", words)));

    private static readonly Gen<JsonNode?> Citations = Gen.Const(() => (JsonNode?)Node(("type", "text"), ("text", "cited"),
        ("citations", new JsonArray(Node(("type", "char_location"), ("cited_text", "c"), ("document_index", 0), ("document_title", "t"), ("start_char_index", 0), ("end_char_index", 1))))));

    private static readonly Gen<JsonNode?> Image = Gen.OneOf(
        Gen.Const(() => (JsonNode?)Node(("type", "image"), ("source", Node(("type", "base64"), ("media_type", "image/png"), ("data", "iVBORw0KGgo="))))),
        Gen.Const(() => (JsonNode?)Node(("type", "image"), ("source", Node(("type", "url"), ("url", "https://example.com/a.png"))), ("transformations", Node(("crop", 1))))),
        Gen.Const(() => (JsonNode?)Node(("type", "image"), ("source", Node(("type", "file"), ("file_id", "file_1"), ("later", true))))));

    private static readonly Gen<JsonNode?> Document = Gen.OneOf(
        Gen.Const(() => (JsonNode?)Node(("type", "document"), ("source", Node(("type", "base64"), ("media_type", "application/pdf"), ("data", "JVBERi0="))), ("title", "T"), ("context", "C"), ("citations", Node(("enabled", true))))),
        Gen.Const(() => (JsonNode?)Node(("type", "document"), ("source", Node(("type", "text"), ("media_type", "text/plain"), ("data", "plain"))))),
        Gen.Const(() => (JsonNode?)Node(("type", "document"), ("source", Node(("type", "url"), ("url", "https://example.com/a.pdf"))))),
        Gen.Const(() => (JsonNode?)Node(("type", "document"), ("source", Node(("type", "content"), ("content", new JsonArray(Node(("type", "text"), ("text", "x")))))), ("title", "T"))),
        Gen.Const(() => (JsonNode?)Node(("type", "search_result"), ("source", "https://example.com"), ("title", "T"), ("content", new JsonArray(Node(("type", "text"), ("text", "x")))), ("citations", Node(("enabled", true))))));

    private static readonly Gen<JsonNode?> Thought = Gen.OneOf(
        Words.Select(words => (JsonNode?)Node(("type", "thinking"), ("thinking", words), ("signature", "c2ln"))),
        Gen.Const(() => (JsonNode?)Node(("type", "redacted_thinking"), ("data", "cmVk"))));

    private static readonly Gen<JsonNode?> Native = Gen.OneOf(
        Gen.Const(() => (JsonNode?)Node(("type", "server_tool_use"), ("id", "srvtoolu_1"), ("name", "web_search"), ("input", Node(("query", "q"))))),
        Gen.Const(() => (JsonNode?)Node(("type", "web_search_tool_result"), ("tool_use_id", "srvtoolu_1"), ("content", new JsonArray()))),
        Gen.Const(() => (JsonNode?)Node(("type", "compaction"), ("content", "Summary"))));

    private static readonly Gen<JsonNode?> Call = Gen.Select(Gen.Int[0, 99], Gen.Bool, (number, extra) =>
        (JsonNode?)Extend(Node(("type", "tool_use"), ("id", $"toolu_{number}"), ("name", "f"), ("input", number == 0 ? new JsonObject() : Node(("a", number), ("b", 1.50)))), extra, "caller", Node(("type", "direct"))));

    private static readonly Gen<JsonNode?> Result = Gen.Select(Gen.Int[0, 99], Gen.OneOf(Words.Select(words => (JsonNode?)JsonValue.Create(words)), Gen.OneOf(Text, Image, Document).List[1, 3].Select(Array)), Gen.Bool, (number, content, fails) =>
        (JsonNode?)Extend(Node(("type", "tool_result"), ("tool_use_id", $"toolu_{number}"), ("content", content)), fails, "is_error", true));

    private static readonly Gen<JsonNode> User = Gen.Select(
        Gen.OneOf(
            Words.Select(words => (JsonNode?)JsonValue.Create(words)),
            Gen.Select(Result.List[0, 2], Gen.OneOf(Text, Image, Document).List[1, 3], (results, rest) => Array([.. results, .. rest]))),
        Gen.Bool, (content, extra) => (JsonNode)Extend(Node(("role", "user"), ("content", content)), extra, "later", 1));

    private static readonly Gen<JsonNode> Assistant = Gen.OneOf(Thought, Text, Citations, Call, Native).List[1, 5].Select(blocks => (JsonNode)Node(("role", "assistant"), ("content", Array(blocks))));

    private static readonly Gen<JsonNode?> Tool = Gen.OneOf(
        Gen.Bool.Select(strict => (JsonNode?)Node(("name", "f"), ("description", "d"), ("input_schema", Node(("type", "object"), ("properties", Node(("a", Node(("type", "integer"), ("minimum", 1))))))), ("strict", strict), ("defer_loading", true))),
        Gen.Const(() => (JsonNode?)Node(("type", "web_search_20260318"), ("name", "web_search"), ("max_uses", 3))));

    private static readonly Gen<(string Name, JsonNode? Value)> Member = Gen.OneOf<(string, JsonNode?)>(
        Words.Select(words => ("system", (JsonNode?)JsonValue.Create(words))),
        Text.List[1, 3].Select(texts => ("system", (JsonNode?)Array(texts))),
        Tool.List[1, 3].Select(tools => ("tools", (JsonNode?)Array(tools))),
        Gen.Bool.Select(parallel => ("tool_choice", (JsonNode?)Node(("type", "any"), ("disable_parallel_tool_use", parallel)))),
        Gen.Const(() => ("tool_choice", (JsonNode?)Node(("type", "tool"), ("name", "f")))),
        Gen.Const(() => ("tool_choice", (JsonNode?)Node(("type", "none")))),
        Gen.Const(() => ("thinking", (JsonNode?)Node(("type", "enabled"), ("budget_tokens", 2048), ("display", "omitted")))),
        Gen.Const(() => ("thinking", (JsonNode?)Node(("type", "adaptive"), ("later", true)))),
        Gen.Const(() => ("thinking", (JsonNode?)Node(("type", "disabled")))),
        Gen.Const(() => ("output_config", (JsonNode?)Node(("effort", "xhigh"), ("task_budget", Node(("type", "tokens"), ("total", 5))), ("format", Node(("type", "json_schema"), ("schema", Node(("type", "object"), ("oneOf", new JsonArray())))))))),
        Gen.Const(() => ("cache_control", (JsonNode?)Node(("type", "ephemeral"), ("ttl", "1h")))),
        Gen.Const(() => ("stop_sequences", (JsonNode?)new JsonArray("END", " "))),
        Gen.Const(() => ("temperature", (JsonNode?)JsonValue.Create(0.30))),
        Gen.Const(() => ("top_k", (JsonNode?)JsonValue.Create(40))),
        Gen.Const(() => ("top_p", (JsonNode?)JsonValue.Create(0.9))),
        Gen.Const(() => ("metadata", (JsonNode?)Node(("user_id", "u")))),
        Gen.Const(() => ("metadata", (JsonNode?)Node(("user_id", "u"), ("later", "x")))),
        Gen.Const(() => ("service_tier", (JsonNode?)JsonValue.Create("standard_only"))),
        Gen.Const(() => ("container", (JsonNode?)Node(("id", "c"), ("skills", new JsonArray())))),
        Gen.Const(() => ("context_management", (JsonNode?)Node(("edits", new JsonArray(Node(("type", "clear_tool_uses_20250919"))))))),
        Gen.Const(() => ("of_the_future", (JsonNode?)Node(("a", new JsonArray(1, null, "x"))))));

    private static readonly Gen<JsonObject> Request = Gen.Select(User, Gen.Select(Assistant, User).List[0, 3], Member.List[0, 6], Gen.Bool, (first, turns, members, streams) =>
    {
        var messages = new JsonArray(first.DeepClone());
        foreach (var (assistant, user) in turns)
        {
            messages.Add(assistant.DeepClone());
            messages.Add(user.DeepClone());
        }
        var request = Node(("model", Wire.NewModel), ("max_tokens", 1000), ("messages", messages));
        foreach (var (name, value) in members)
        {
            request[name] = value?.DeepClone();
        }
        if (streams)
        {
            request["stream"] = true;
        }
        return request;
    });

    [Fact]
    public void Request_DecodedAndEncoded_SaysTheSame() => Request.Sample(request =>
    {
        var decoded = Wire.Decode(request.ToJsonString(), stream: request.ContainsKey("stream"));

        var encoded = Wire.Encode(decoded, out var dropped);

        Wire.AssertSame(request, encoded);
        Assert.Empty(dropped.Names);
    }, iter: 2000);

    [Fact]
    public void Request_AnyMutation_IsDecodedOrRefused() => Gen.Select(Request, Gen.Int[0, 20], Gen.Int[0, 5000], Gen.Byte, (request, kind, at, value) => (request, kind, at, value)).Sample(sample =>
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(sample.request.ToJsonString());
        bytes = sample.kind == 0 ? bytes[..(sample.at % bytes.Length)] : bytes;
        if (bytes.Length > 0 && sample.kind > 0)
        {
            bytes[sample.at % bytes.Length] = sample.value;
        }

        var error = Wire.Dialect.Decode(bytes, false, out var request);

        Assert.True(error is null != request is null);
        if (request is not null)
        {
            Assert.Null(Wire.Dialect.Encode(request, Wire.Target(new LlmProxy.Dialects.DropReport()), new System.Buffers.ArrayBufferWriter<byte>()));
        }
    }, iter: 3000);

    [Fact]
    public void Request_ForTheClouds_CarriesTheVersionInsteadOfTheModel()
    {
        var request = Wire.Decode("""{"model":"x","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}""", stream: true);

        var vertex = Wire.Encode(request, out _, dialect: AnthropicDialect.Vertex);
        var bedrock = Wire.Encode(request, out _, dialect: AnthropicDialect.BedrockInvoke);

        Wire.AssertSame(JsonNode.Parse("""{"anthropic_version":"vertex-2023-10-16","max_tokens":5,"messages":[{"role":"user","content":"Hi"}],"stream":true}"""), vertex);
        Wire.AssertSame(JsonNode.Parse("""{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}"""), bedrock);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"tool","content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image"}]}]}""", "messages[0].content[0].source")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"text"}]}]}""", "messages[0].content[0].text")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":[]}]}]}""", "messages[0].content[0].input")]
    [InlineData("""{"messages":[],"thinking":{"type":"sometimes"}}""", "thinking.type")]
    [InlineData("""{"messages":[],"tool_choice":{"type":"tool"}}""", "tool_choice.name")]
    [InlineData("""{"messages":[],"output_config":{"format":{"type":"xml"}}}""", "output_config.format")]
    [InlineData("""{"messages":[],"temperature":"hot"}""", "temperature")]
    public void Request_NotAsItMustBe_IsRefusedByTheMembersPath(string body, string field)
    {
        var error = Wire.Dialect.Decode(System.Text.Encoding.UTF8.GetBytes(body), false, out _);

        Assert.Equal(field, error?.Field);
    }

    private static JsonObject Node(params (string Name, JsonNode? Value)[] members)
    {
        var node = new JsonObject();
        foreach (var (name, value) in members)
        {
            node[name] = value;
        }
        return node;
    }

    private static JsonObject Extend(JsonObject node, bool really, string name, JsonNode? value)
    {
        if (really)
        {
            node[name] = value;
        }
        return node;
    }

    private static JsonArray Array(IEnumerable<JsonNode?> nodes) => new([.. nodes.Select(node => node?.DeepClone())]);
}
