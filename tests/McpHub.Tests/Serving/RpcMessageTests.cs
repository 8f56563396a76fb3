using System.Text;
using McpHub.Serving;

namespace McpHub.Tests.Serving;

public sealed class RpcMessageTests
{
    private static readonly string ManyMembers = string.Join(',', Enumerable.Range(0, 40).Select(i => $"\"m{i}\":{i}"));

    [Fact]
    public void Read_Request_FindsItsPiecesAsSent()
    {
        var message = Read("""{ "params" : {"_meta":{"progressToken":0,"traceparent":"tp"}, "n\u0061me":"\u0065cho", "arguments":{"a":{"name":"inner","name":"inner"}}, "x":1.50 } ,"id": "\u0031" ,"jsonrpc":"2.0","method":"tools\/call","extra":[{}]} """);

        Assert.Equal(RpcForm.Request, message.Form);
        Assert.Equal("tools/call", message.Method);
        Assert.Equal("echo", message.Name);
        Assert.Equal("\"\\u0031\"", Encoding.UTF8.GetString(message.RawId.Span));
        Assert.Equal("1", message.Id.Id);
        Assert.True(message.HasProgressToken);
        Assert.Equal("tp", message.TraceParent);
        Assert.StartsWith("{\"_meta\":", Encoding.UTF8.GetString(message.Params.Span), StringComparison.Ordinal);
        Assert.EndsWith("\"x\":1.50 }", Encoding.UTF8.GetString(message.Params.Span), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a","params":{MANY,"m39":0}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a","params":{MANY,"\u006d0":0}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{MANY,"m20":0}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a","\u006dethod":"b"}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"id":1,"method":"a"}""")]
    public void Read_MemberTwice_IsDuplicated(string json) => Assert.Equal(RpcForm.Duplicated, Read(json).Form);

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a","params":{MANY}}""", RpcForm.Request)]
    [InlineData("""{"jsonrpc":"2.0","method":"a"}""", RpcForm.Unusual)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"result":{}}""", RpcForm.Unusual)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a","error":{}}""", RpcForm.Unusual)]
    [InlineData("[]", RpcForm.Unusual)]
    [InlineData("\"text\"", RpcForm.Unusual)]
    [InlineData("""{"jsonrpc":"2.0","id":"\ud800","method":"a"}""", RpcForm.Malformed)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"a"} x""", RpcForm.Malformed)]
    [InlineData("{", RpcForm.Malformed)]
    [InlineData("", RpcForm.Malformed)]
    public void Read_AnyBody_IsSorted(string json, object form) => Assert.Equal(form, Read(json).Form);

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"content":[]}""")]
    [InlineData("""{"_meta":{},"content":[]}""")]
    [InlineData("""{"content":[],"_meta":{"a":{"io.modelcontextprotocol/serverInfo":1}}}""")]
    [InlineData("""{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"up","version":"1"},"b":2},"resultType":"complete"}""")]
    [InlineData("""{"content":[],"_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{"name":"up","version":"1"}} }""")]
    public void ForStateless_AnyResult_HasTypeAndServerOnceAndAllElse(string json)
    {
        var shaped = System.Text.Json.Nodes.JsonNode.Parse(ResultShape.ForStateless(Encoding.UTF8.GetBytes(json)).Span)!.AsObject();

        var expected = System.Text.Json.Nodes.JsonNode.Parse(json)!.AsObject();
        expected["resultType"] = "complete";
        expected["_meta"] ??= new System.Text.Json.Nodes.JsonObject();
        expected["_meta"]!["io.modelcontextprotocol/serverInfo"] = System.Text.Json.Nodes.JsonNode.Parse("{" + Encoding.UTF8.GetString(McpJson.ServerInfoMember) + "}")!["io.modelcontextprotocol/serverInfo"]!.DeepClone();
        Assert.True(System.Text.Json.Nodes.JsonNode.DeepEquals(expected, shaped), shaped.ToJsonString());
    }

    private static RpcMessage Read(string json) => RpcMessage.Read(Encoding.UTF8.GetBytes(json.Replace("MANY", ManyMembers, StringComparison.Ordinal)));
}
