using System.Net;
using System.Text.Json.Nodes;

namespace Gateway.Tests.SignIn;

public sealed class ClientDocumentTests
{
    private const string Path = "/client.json";
    private const string AllowLoopback = "egress: {allow: [localhost]}\n";

    [Fact]
    public async Task Client_WithADocument_SignsInAndItsDocumentIsFetchedOnce()
    {
        await using var documents = await ClientDocuments.StartAsync();
        documents.Document = path => documents.Usual(path);
        await using var setup = await SignInSetup.StartAsync(server: "", more: AllowLoopback, builder: documents.Trust);
        var client = new ClientProgram(setup, documents.Address + Path, "http://127.0.0.1:53682/callback");

        var (access, _) = await client.TokensAsync();
        await client.TokensAsync();

        await setup.AssertTakenAsync(access);
        Assert.Equal([Path], documents.Requests);
        using var page = await client.Browser.GetAsync(client.AuthorizeAddress());
        var text = await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("Documented client", text, StringComparison.Ordinal);
        Assert.Contains("It is described at localhost.", text, StringComparison.Ordinal);
        setup.Clock.Advance(TimeSpan.FromHours(1));
        await client.TokensAsync();
        Assert.Equal([Path, Path], documents.Requests);
    }

    [Theory]
    [InlineData("")]
    [InlineData("egress: {deny: [localhost]}\n")]
    public async Task Document_WhereTheGatewayMustNotGo_IsNotFetched(string egress)
    {
        await using var documents = await ClientDocuments.StartAsync();
        documents.Document = path => documents.Usual(path);
        await using var setup = await SignInSetup.StartAsync(server: "", more: egress, builder: documents.Trust);
        foreach (var id in new[] { documents.Address + Path, documents.Address.Replace("localhost", "127.0.0.1", StringComparison.Ordinal) + Path, "https://169.254.169.254/latest/meta-data", "https://[::1]:1/client.json" })
        {
            var told = await AssertRefusedAsync(setup, id, "cannot be fetched");
            Assert.DoesNotContain("denied", told, StringComparison.OrdinalIgnoreCase);
        }
        Assert.Empty(documents.Requests);
    }

    [Theory]
    [InlineData("http://localhost/client.json")]
    [InlineData("https://localhost")]
    [InlineData("https://localhost/")]
    [InlineData("https://user:pass@localhost/client.json")]
    [InlineData("https://localhost/a/../client.json")]
    [InlineData("https://localhost/client.json#x")]
    [InlineData("file:///etc/passwd")]
    [InlineData("made-up")]
    [InlineData("dcr-made-up")]
    [InlineData("")]
    public async Task ClientId_OfNoSuchForm_IsRefused(string id)
    {
        await using var setup = await SignInSetup.StartAsync(server: "", more: AllowLoopback);
        await AssertRefusedAsync(setup, id, "cannot go on");
    }

    [Theory]
    [InlineData("another id", "names another")]
    [InlineData("secret", "must not ask for a secret")]
    [InlineData("no redirects", "redirect_uris")]
    [InlineData("bad redirect", "redirect_uris[0]")]
    [InlineData("too large", "cannot be fetched")]
    [InlineData("redirect", "cannot be fetched")]
    [InlineData("missing", "cannot be fetched")]
    public async Task Document_ThatDoesNotHold_IsRefused(string kind, string text)
    {
        await using var documents = await ClientDocuments.StartAsync();
        documents.Redirect = path => kind == "redirect" && path == Path ? documents.Address + "/elsewhere.json" : null;
        documents.Document = path =>
        {
            var document = documents.Usual(Path);
            switch (kind)
            {
                case "another id": document["client_id"] = documents.Address + "/other.json"; break;
                case "secret": document["token_endpoint_auth_method"] = "client_secret_post"; break;
                case "no redirects": document.Remove("redirect_uris"); break;
                case "bad redirect": document["redirect_uris"] = new JsonArray("javascript:alert(1)"); break;
                case "too large": document["x"] = new string('x', 20_000); break;
                case "missing": return null;
            }
            return document;
        };
        await using var setup = await SignInSetup.StartAsync(server: "", more: AllowLoopback, builder: documents.Trust);

        await AssertRefusedAsync(setup, documents.Address + Path, text);
        await AssertRefusedAsync(setup, documents.Address + Path, text);

        Assert.Equal([Path], documents.Requests); // A failure is remembered as well, for half a minute.
    }

    [Fact]
    public async Task Redirect_ThatTheDocumentDoesNotList_IsRefused()
    {
        await using var documents = await ClientDocuments.StartAsync();
        documents.Document = path => documents.Usual(path);
        await using var setup = await SignInSetup.StartAsync(server: "", more: AllowLoopback, builder: documents.Trust);
        var client = new ClientProgram(setup, documents.Address + Path, "https://evil.example.com/callback");
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress());
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    private static async Task<string> AssertRefusedAsync(SignInSetup setup, string id, string text)
    {
        var client = new ClientProgram(setup, id, "http://127.0.0.1:53682/callback");
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress());
        var page = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(text, WebUtility.HtmlDecode(page), StringComparison.Ordinal);
        return page;
    }
}
