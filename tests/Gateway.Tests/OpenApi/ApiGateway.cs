using System.Text.Json;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.OpenApi;

/// <summary>A gateway in front of a web API, called as clients do.</summary>
internal static class ApiGateway
{
    public const string Key = "member-key-7351";
    public const string Password = "staff-pass-9917";
    public const string Token = "shop-token-4242";

    public static string Document(string name) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "OpenApi", name));

    /// <summary>A manifest of an API; what else stands under <c>upstream</c> comes as members on lines of their own.</summary>
    public static string Manifest(string id, string document, string upstream = "", string expose = "") => $"""
        apiVersion: hub/v1
        kind: ToolManifest
        metadata:
          id: {id}
        upstream:
          transport: openapi
          document: {document}
        {string.Join('\n', upstream.Split('\n').Select(line => "  " + line))}
        expose:
          prefix: {id}
        {string.Join('\n', expose.Split('\n').Select(line => "  " + line))}
        """;

    public static string Library(FakeApi api, string more = "", string expose = "") => Manifest("library", "./library.json", $$"""
        serverVariables: {port: "{{new Uri(api.Address).Port}}"}
        credentials:
          memberKey: ${env:MEMBER_KEY}
          staff: {username: clerk, password: "${env:STAFF_PASSWORD}"}
        {{more}}
        """, expose);

    public static async Task<TestGateway> StartAsync(params (string File, string Text)[] files)
    {
        var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = files.ToDictionary(file => file.File, file => file.Text),
            Environment = new Dictionary<string, string> { ["MEMBER_KEY"] = Key, ["STAFF_PASSWORD"] = Password, ["SHOP_TOKEN"] = Token },
        }, TestContext.Current.CancellationToken);
        foreach (var (file, text) in files.Where(file => file.Text.Contains("kind: ToolManifest", StringComparison.Ordinal)))
        {
            await ToolCaller.WaitForAsync(gateway, Path.GetFileNameWithoutExtension(file), state => state.State == "disconnected" || state.Tools > 0);
        }
        return gateway;
    }

    public static Task<TestGateway> StartLibraryAsync(FakeApi api, string more = "", string expose = "") => StartAsync(("library.yaml", Library(api, more, expose)), ("library.json", Document("library.json")));

    /// <summary>The result of a call.</summary>
    public static async Task<JsonElement> CallAsync(this TestGateway gateway, string tool, string arguments = "{}")
    {
        var answer = await ToolCaller.CallAsync(gateway.Client, tool, arguments);
        var json = answer.StartsWith('{') ? answer : answer.Split('\n').Last(line => line.StartsWith("data: {", StringComparison.Ordinal))["data: ".Length..];
        var root = JsonDocument.Parse(json).RootElement;
        return root.TryGetProperty("result", out var result) ? result : throw new InvalidOperationException(json);
    }

    public static string Text(this JsonElement result) => result.GetProperty("content")[0].GetProperty("text").GetString()!;

    public static bool IsError(this JsonElement result) => result.TryGetProperty("isError", out var error) && error.GetBoolean();
}
