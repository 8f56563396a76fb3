using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Shared.Http;
using TestSupport;

namespace Gateway.Tests;

/// <summary>Gateways with small endpoints that show what the host does around one.</summary>
internal static class Hosts
{
    public static Task<TestGateway> StartAsync(TestGatewayOptions? options = null) =>
        TestGateway.StartAsync((options ?? new TestGatewayOptions()) with { Endpoints = Map }, TestContext.Current.CancellationToken);

    public static async Task<JsonElement> JsonAsync(this HttpResponseMessage response)
    {
        await using var body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        using var document = await JsonDocument.ParseAsync(body, cancellationToken: TestContext.Current.CancellationToken);
        return document.RootElement.Clone();
    }

    public static string Header(this HttpResponseMessage response, string name) => Assert.Single(response.Headers.GetValues(name));

    private static void Map(WebApplication app)
    {
        app.MapGet("/test/key", context => context.Response.WriteAsync(GatewayRequest.Of(context).Key!.Id)).ForCaller(CallerKind.VirtualKey, ProblemFormat.Instance);
        app.MapGet("/test/trace", context => context.Response.WriteAsync($"{GatewayRequest.Of(context).TraceParent} {GatewayRequest.Of(context).TraceState}")).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        app.MapGet("/test/undeclared", context => context.Response.WriteAsync("secret"));
        app.MapGet("/test/broken", _ => throw new InvalidOperationException("a cause with a secret in it")).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        app.MapGet("/test/half", async context =>
        {
            await context.Response.WriteAsync("half");
            await context.Response.Body.FlushAsync();
            throw new InvalidOperationException("after the start");
        }).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        app.MapPost("/test/body", async context =>
        {
            using var buffer = new MemoryStream();
            await context.Request.Body.CopyToAsync(buffer, context.RequestAborted);
            await context.Response.WriteAsync($"{buffer.Length}");
        }).ForCaller(CallerKind.VirtualKey, ProblemFormat.Instance);
    }
}
