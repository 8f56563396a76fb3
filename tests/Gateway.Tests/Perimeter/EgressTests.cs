using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Egress;
using Shared.Snapshots;
using Shared.Stored;
using Shared.Tools;
using TestSupport;

namespace Gateway.Tests.Perimeter;

/// <summary>What the gateway connects to, and what it does not, whoever asks it to.</summary>
public sealed class EgressTests
{
    // A provider that is known by name may have a price before it is declared.
    private const string Price = "\nprices: [{provider: groq, model: m, input: 0, output: 0, source: test}]\n";

    [Fact]
    public async Task Provider_OfTheAdminApiWhoseNameLeadsInside_IsNotConnectedTo()
    {
        await using var inside = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var names = new Names(_ => [IPAddress.Loopback]);
        await using var gateway = await StartAsync(Price, names);
        await DeclareProviderAsync(gateway, $"http://inside.example:{inside.BaseAddress.Port}/v1");

        using var response = await ChatAsync(gateway);

        await AssertRefusedAsync(response, "127.0.0.1", "inside.example");
        Assert.Empty(inside.Requests);
        var line = Assert.Single(gateway.Logs.Lines, line => line.Message.Contains("Did not connect provider 'groq'", StringComparison.Ordinal));
        Assert.Contains("'inside.example' (127.0.0.1)", line.Message, StringComparison.Ordinal);
        Assert.Equal(1, names.LookUps);
    }

    [Fact]
    public async Task Provider_OfTheAdminApiNamedUnderAllow_IsConnectedToAtTheAddressThatWasChecked()
    {
        await using var inside = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        // A second look-up would get another answer.
        var names = new Names(lookUp => lookUp == 1 ? [IPAddress.Loopback] : [IPAddress.Parse("169.254.169.254")]);
        await using var gateway = await StartAsync("egress: {allow: [inside.example]}" + Price, names);
        await DeclareProviderAsync(gateway, $"http://inside.example:{inside.BaseAddress.Port}/v1");
        for (var i = 0; i < 3; i++)
        {
            using var response = await ChatAsync(gateway);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        Assert.Equal((1, 3), (names.LookUps, inside.Requests.Count));
    }

    [Fact]
    public async Task Name_ThatLeadsElsewhereAtTheNextConnection_IsCheckedAgain()
    {
        await using var inside = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        // Public at first, as when the policy is checked, then the gateway's own network, as when the connection is made: DNS rebinding.
        var names = new Names(lookUp => lookUp == 1 ? [IPAddress.Parse("127.0.0.1")] : [IPAddress.Parse("127.0.0.2")]);
        await using var gateway = await StartAsync("egress: {allow: [127.0.0.1]}" + Price, names);
        await DeclareProviderAsync(gateway, $"http://turning.example:{inside.BaseAddress.Port}/v1");
        inside.Enqueue(FakeReply.Reset); // which ends the connection, so that the gateway's own second attempt opens a new one

        using var response = await ChatAsync(gateway);

        Assert.Equal(2, names.LookUps);
        Assert.Single(inside.Requests);
        await AssertRefusedAsync(response, "127.0.0.2");
    }

    [Fact]
    public async Task Name_WithOneAddressInside_IsRefusedAsAWholeWhereAStrangerNamedIt()
    {
        var names = new Names(_ => [IPAddress.Parse("8.8.8.8"), IPAddress.Parse("10.0.0.1")]);
        await using var gateway = await StartAsync(Price, names);
        await DeclareProviderAsync(gateway, "http://mixed.example/v1");
        using var response = await ChatAsync(gateway);
        await AssertRefusedAsync(response, "10.0.0.1", "8.8.8.8");
    }

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("fe80::1")]
    [InlineData("0.0.0.0")]
    [InlineData("224.0.0.1")]
    [InlineData("64:ff9b::a9fe:a9fe")]
    public async Task Provider_OfAFileWhoseNameLeadsToMetadata_IsNotConnectedTo(string address)
    {
        await using var gateway = await StartAsync("providers: {groq: {baseUrl: 'http://name.example/v1', models: [m], maxRetries: 0}}" + Price, new Names(_ => [IPAddress.Parse(address)]));
        using var response = await ChatAsync(gateway);
        await AssertRefusedAsync(response, address);
    }

    [Fact]
    public async Task Provider_OfAFileOnLoopback_IsConnectedToUnlessDenied()
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var names = new Names(_ => [IPAddress.Loopback]);
        var declared = $"providers: {{groq: {{baseUrl: 'http://name.example:{provider.BaseAddress.Port}/v1', models: [m], maxRetries: 0}}}}" + Price;
        await using (var gateway = await StartAsync(declared, names))
        {
            using var response = await ChatAsync(gateway);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        await using (var gateway = await StartAsync(declared + "egress: {deny: [127.0.0.0/8]}", names))
        {
            using var response = await ChatAsync(gateway);
            await AssertRefusedAsync(response, "127.0.0.1");
        }
        Assert.Single(provider.Requests);
    }

    [Theory]
    [InlineData(302)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task Redirect_ToMetadata_IsNotFollowed(int status)
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var trap = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        provider.Otherwise = _ => new FakeReply { Status = status, Headers = new Dictionary<string, string> { ["Location"] = $"http://169.254.169.254:{trap.BaseAddress.Port}/latest/meta-data/" } };
        var names = new Names(_ => throw new InvalidOperationException("Nothing is to be looked up."));
        await using var gateway = await StartAsync($"providers: {{groq: {{baseUrl: '{provider.BaseAddress}', models: [m], maxRetries: 0}}}}" + Price, names);

        using var response = await ChatAsync(gateway);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.DoesNotContain("169.254", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.DoesNotContain(response.Headers, header => header.Key == "Location");
        Assert.Single(provider.Requests);
    }

    [Fact]
    public async Task Fallback_AfterARefusal_AsksTheNextTarget()
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync($$"""
            providers:
              bad: {baseUrl: 'http://name.example/v1', models: [m], maxRetries: 2}
              groq: {baseUrl: '{{provider.BaseAddress}}', models: [m]}
            routes: {fast: {targets: [bad/m, groq/m]} }
            prices: [{provider: groq, model: m, input: 0, output: 0, source: test}, {provider: bad, model: m, input: 0, output: 0, source: test}]
            """, new Names(_ => [IPAddress.Parse("169.254.169.254")]));
        using var response = await ChatAsync(gateway, "fast");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Single(gateway.Logs.Lines, line => line.Message.Contains("Did not connect", StringComparison.Ordinal)); // not tried again, which would be no use
    }

    [Fact]
    public async Task ToolServer_OfTheAdminApiWhoseNameLeadsInside_IsNotConnectedToThoughAFilesServerIsThere()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        var names = new Names(_ => [IPAddress.Loopback]);
        var url = $"http://inside.example:{server.Endpoint.Port}{server.Endpoint.AbsolutePath}";
        await using var gateway = await TestGateway.StartAsync(
            new TestGatewayOptions
            {
                Manifests = new Dictionary<string, string> { ["mine.yaml"] = $"apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {{id: mine}}\nupstream: {{url: '{url}'}}\n" },
                Builder = names.Register,
            }, TestContext.Current.CancellationToken);
        await StateAsync(gateway, "mine", state => state.State == "connected");

        var outcome = await gateway.Services.GetRequiredService<SnapshotLoader>().ChangeAsync(
            stored => stored.With(new EntityName(EntityKind.Manifest, "theirs"), """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"theirs"},"upstream":{"url":"URL"}}""".Replace("URL", url, StringComparison.Ordinal)), new ChangedBy("admin:test"));
        Assert.True(outcome.Succeeded, string.Join('\n', outcome.Errors));

        var state = await StateAsync(gateway, "theirs", state => state.Problem is not null);
        Assert.DoesNotContain("127.0.0.1", state.Problem, StringComparison.Ordinal);
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("Did not connect a tool server: 'inside.example' (127.0.0.1)", StringComparison.Ordinal));
        Assert.Equal(1, server.Sessions);
    }

    [Fact]
    public async Task Collector_WhoseNameLeadsToMetadata_IsNotConnectedTo()
    {
        var names = new Names(_ => [IPAddress.Parse("169.254.169.254")]);
        await using (var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = "telemetry: {otlpEndpoint: 'http://collector.example:4317'}", Builder = names.Register }, TestContext.Current.CancellationToken))
        {
            using var response = await gateway.Client.GetAsync(new Uri("v1/models", UriKind.Relative), TestContext.Current.CancellationToken);
            var lines = gateway.Logs;
            await gateway.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().Single(service => service.GetType().Name == "OtlpExport").StopAsync(TestContext.Current.CancellationToken);
            Assert.Contains(lines.Lines, line => line.Message.Contains("Did not connect the collector of telemetry: 'collector.example' (169.254.169.254)", StringComparison.Ordinal));
        }
        Assert.True(names.LookUps > 0);
    }

    private static Task<TestGateway> StartAsync(string configuration, Names names) =>
        TestGateway.StartAsync(new TestGatewayOptions { Configuration = configuration, Builder = names.Register }, TestContext.Current.CancellationToken);

    private static async Task DeclareProviderAsync(TestGateway gateway, string url)
    {
        var outcome = await gateway.Services.GetRequiredService<SnapshotLoader>().ChangeAsync(
            stored => stored.With(new EntityName(EntityKind.Provider, "groq"), $$"""{"baseUrl":"{{url}}","models":["m"],"maxRetries":1}"""), new ChangedBy("admin:test"));
        Assert.True(outcome.Succeeded, string.Join('\n', outcome.Errors.Concat(outcome.ElsewhereErrors)));
    }

    private static Task<HttpResponseMessage> ChatAsync(TestGateway gateway, string model = "groq/m") =>
        gateway.Client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), new { model, max_tokens = 5, messages = new[] { new { role = "user", content = "Hi" } } }, TestContext.Current.CancellationToken);

    private static async Task AssertRefusedAsync(HttpResponseMessage response, params string[] hidden)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("\"upstream_refused_by_policy\"", text, StringComparison.Ordinal);
        Assert.All(hidden, word => Assert.DoesNotContain(word, text, StringComparison.Ordinal));
        Assert.Equal("false", response.Header("x-should-retry"));
    }

    private static async Task<ToolServerState> StateAsync(TestGateway gateway, string id, Func<ToolServerState, bool> wanted)
    {
        var states = gateway.Services.GetRequiredService<IToolServerStates>();
        var reached = new TaskCompletionSource<ToolServerState>(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look()
        {
            if (states.ReadAll().FirstOrDefault(state => state.Id == id && wanted(state)) is { } state)
            {
                reached.TrySetResult(state);
            }
        }
        states.Changed += _ => Look();
        Look();
        return await reached.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    /// <summary>A name service whose every answer the test chooses, counted from 1.</summary>
    private sealed class Names(Func<int, IPAddress[]> answer)
    {
        private int lookUps;

        public int LookUps => Volatile.Read(ref lookUps);

        public void Register(WebApplicationBuilder builder) => builder.Services.Replace(ServiceDescriptor.Singleton<HostResolver>((_, _) => Task.FromResult(answer(Interlocked.Increment(ref lookUps)))));
    }
}
