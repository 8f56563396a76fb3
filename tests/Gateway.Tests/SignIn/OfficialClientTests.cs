using Gateway.Tests.Interop;
using ModelContextProtocol.Authentication;
using ModelContextProtocol.Client;

namespace Gateway.Tests.SignIn;

/// <summary>The OAuth support of the official SDKs' clients, against the whole flow.</summary>
public sealed class OfficialClientTests
{
    private const string Redirect = "http://127.0.0.1:53682/callback";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CSharpClient_WithoutAnythingButTheAddress_SignsInAndCallsATool(bool hasDocument)
    {
        await using var documents = await ClientDocuments.StartAsync();
        documents.Document = path => documents.Usual(path, Redirect);
        await using var setup = await SignInSetup.StartAsync(server: "", more: "egress: {allow: [localhost]}\n", builder: documents.Trust);
        using var browser = new Browser(setup.Gateway.BaseAddress);
        Uri? asked = null;
        var options = new HttpClientTransportOptions
        {
            Endpoint = new Uri(setup.Gateway.BaseAddress, "mcp"),
            TransportMode = HttpTransportMode.StreamableHttp,
            OAuth = new ClientOAuthOptions
            {
                RedirectUri = new Uri(Redirect),
                ClientMetadataDocumentUri = hasDocument ? new Uri(documents.Address + "/client.json") : null,
                AuthorizationCallbackHandler = async (context, _) =>
                {
                    asked = context.AuthorizationUri;
                    using var page = await browser.GetAsync(context.AuthorizationUri.AbsoluteUri);
                    using var answered = await browser.AnswerAsync(await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
                    var answer = ClientProgram.Parse(await browser.FollowAsync(answered.Headers.Location!, Redirect));
                    return new AuthorizationResult { Code = answer["code"], State = answer.GetValueOrDefault("state"), Iss = answer["iss"] };
                },
            },
        };
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        await using var client = await McpClient.CreateAsync(new HttpClientTransport(options, http, null, ownsHttpClient: false), cancellationToken: TestContext.Current.CancellationToken);

        var answer = await client.CallToolAsync("gateway__whoami", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Contains("ada@example.com", ((ModelContextProtocol.Protocol.TextContentBlock)answer.Content[0]).Text, StringComparison.Ordinal);
        Assert.Equal(hasDocument, asked!.Query.Contains("client.json", StringComparison.Ordinal));

        // Its token ends in the middle of the session; it renews it by itself and the session goes on.
        setup.Clock.Advance(TimeSpan.FromMinutes(31));
        var again = await client.CallToolAsync("gateway__whoami", cancellationToken: TestContext.Current.CancellationToken);
        Assert.NotEqual(true, again.IsError);
    }

    [Fact]
    public async Task TypeScriptClients_WithoutAnythingButTheAddress_SignIn()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        await using var documents = await ClientDocuments.StartAsync();
        documents.Document = path => documents.Usual(path, Redirect);
        await using var setup = await SignInSetup.StartAsync(server: "", more: "egress: {allow: [localhost]}\n", builder: documents.Trust);
        var environment = new Dictionary<string, string> { ["GATEWAY_URL"] = setup.Address, ["CLIENT_DOCUMENT"] = documents.Address + "/client.json" };

        await using var suite = ChildProcess.Start(InteropFolder.Node, [Path.Combine(InteropFolder.Folder, "sign-in.mjs")], InteropFolder.Folder, environment);
        await suite.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(5), TestContext.Current.CancellationToken);

        Assert.True(suite.ExitCode == 0 && suite.Output.Contains("# passed 6, failed 0", StringComparison.Ordinal), suite.Output);
    }
}
