using System.Net;
using System.Text;
using System.Text.Json;
using Shared.Tools;
using TestSupport;

namespace Gateway.Tests.Tools;

/// <summary>Speaks to <c>/mcp</c> as a client of the newest revision does, on plain HTTP, so that nothing between a test and the wire changes anything.</summary>
internal static class ToolCaller
{
    private const string Meta = "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":{\"name\":\"test\",\"version\":\"1\"}";

    /// <summary>The raw response to a call of a tool.</summary>
    public static Task<string> CallAsync(HttpClient client, string tool, string arguments = "{}", string moreMeta = "", CancellationToken? cancellationToken = null) =>
        SendAsync(client, "tools/call", tool, $"{{\"name\":\"{tool}\",\"arguments\":{arguments},{Meta}{moreMeta}}}}}", cancellationToken ?? TestContext.Current.CancellationToken);

    /// <summary>The names of the tools that the client's key sees.</summary>
    public static async Task<string[]> ListAsync(HttpClient client)
    {
        using var answer = JsonDocument.Parse(await SendAsync(client, "tools/list", null, $"{{{Meta}}}}}", TestContext.Current.CancellationToken));
        return [.. answer.RootElement.GetProperty("result").GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("name").GetString()!)];
    }

    /// <summary>Waits until a tool server has reached a state.</summary>
    public static Task WaitForAsync(TestGateway gateway, string server, Func<ToolServerState, bool> reached) => gateway.WaitForToolServerAsync(server, reached, TestContext.Current.CancellationToken);

    /// <summary>A manifest of a server over HTTP.</summary>
    public static string Http(string id, Uri endpoint, string more = "") => $$"""
        apiVersion: hub/v1
        kind: ToolManifest
        metadata: {id: {{id}}}
        upstream: {transport: streamable-http, url: "{{endpoint}}"{{more}}}
        expose: {prefix: {{id}}}
        """;

    /// <summary>A manifest of the fake server on standard streams.</summary>
    public static string Stdio(string id, string mode, string more = "")
    {
        var output = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(output.Parent!.Parent!.FullName, "FakeMcpStdio", output.Name, "FakeMcpStdio.dll");
        return $$"""
            apiVersion: hub/v1
            kind: ToolManifest
            metadata: {id: {{id}}}
            upstream: {transport: stdio, command: dotnet, args: ["{{program}}", {{mode}}]{{more}}}
            expose: {prefix: {{id}}}
            """;
    }

    private static async Task<string> SendAsync(HttpClient client, string method, string? name, string parameters, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("mcp", UriKind.Relative))
        {
            Content = new StringContent($"{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{parameters}}}", Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add("MCP-Protocol-Version", "2026-07-28");
        request.Headers.Add("Mcp-Method", method);
        if (name is not null)
        {
            request.Headers.Add("Mcp-Name", name);
        }
        using var response = await client.SendAsync(request, cancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await response.Content.ReadAsStringAsync(cancellationToken);
    }
}
