using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Web;

namespace Gateway.Tests.SignIn;

/// <summary>A person's browser: keeps cookies, and shows where it would go next.</summary>
internal sealed partial class Browser : IDisposable
{
    private readonly HttpClient client;

    public Browser(Uri gateway) =>
        client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, CookieContainer = new CookieContainer() }) { BaseAddress = gateway };

    public void Dispose() => client.Dispose();

    public Task<HttpResponseMessage> GetAsync(string address) => client.GetAsync(address, TestContext.Current.CancellationToken);

    /// <summary>Answers the consent page.</summary>
    public async Task<HttpResponseMessage> AnswerAsync(string page, string decision = "allow", string? origin = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "oauth/consent")
        {
            Content = new FormUrlEncodedContent([new("request", HttpUtility.HtmlDecode(Request().Match(page).Groups[1].Value)), new("decision", decision)]),
        };
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }
        return await client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    /// <summary>Follows links until they lead out of this machine's servers, to the client.</summary>
    public async Task<Uri> FollowAsync(Uri start, string until)
    {
        var next = start;
        for (var i = 0; i < 10; i++)
        {
            if (next.AbsoluteUri.StartsWith(until, StringComparison.Ordinal))
            {
                return next;
            }
            using var response = await GetAsync(next.AbsoluteUri);
            if (response.StatusCode != HttpStatusCode.Redirect)
            {
                Assert.Fail($"{next} answered {response.StatusCode}: {await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}");
            }
            next = new Uri(next, response.Headers.Location!);
        }
        throw new InvalidOperationException("The links lead nowhere.");
    }

    [GeneratedRegex("name=\"request\" value=\"([^\"]+)\"")]
    private static partial Regex Request();
}

/// <summary>A client that asks a person for access, step by step.</summary>
internal sealed class ClientProgram(SignInSetup setup, string clientId, string redirect)
{
    public string Verifier { get; init; } = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public string ClientId => clientId;

    public string Redirect => redirect;

    public string Resource { get; init; } = setup.Address + "/mcp";

    public Browser Browser { get; init; } = new(setup.Gateway.BaseAddress);

    /// <summary>Registers a client.</summary>
    public static async Task<ClientProgram> RegisterAsync(SignInSetup setup, string redirect = "http://127.0.0.1:53682/callback", string name = "Test client", string? resource = null)
    {
        using var response = await RegisterAsync(setup, new JsonObject { ["client_name"] = name, ["redirect_uris"] = new JsonArray(redirect) });
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        var answer = await response.JsonAsync();
        Assert.Equal("none", answer.GetProperty("token_endpoint_auth_method").GetString());
        return new ClientProgram(setup, answer.GetProperty("client_id").GetString()!, redirect) { Resource = resource ?? setup.Address + "/mcp" };
    }

    public static Task<HttpResponseMessage> RegisterAsync(SignInSetup setup, JsonNode metadata) =>
        setup.Gateway.Anonymous.PostAsync("oauth/register", new StringContent(metadata.ToJsonString(), Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);

    /// <summary>The address of the consent page.</summary>
    public string AuthorizeAddress(params (string Name, string? Value)[] changes)
    {
        var query = new Dictionary<string, string?>
        {
            ["response_type"] = "code",
            ["client_id"] = clientId,
            ["redirect_uri"] = redirect,
            ["code_challenge"] = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Verifier))),
            ["code_challenge_method"] = "S256",
            ["state"] = "state of the client's",
            ["resource"] = Resource,
        };
        foreach (var (name, value) in changes)
        {
            query[name] = value;
        }
        return "oauth/authorize?" + string.Join('&', query.Where(part => part.Value is not null).Select(part => $"{part.Key}={Uri.EscapeDataString(part.Value!)}"));
    }

    /// <summary>Sends the person through all pages; what comes back to the client.</summary>
    public async Task<Dictionary<string, string>> SignInAsync(params (string Name, string? Value)[] changes)
    {
        using var page = await Browser.GetAsync(AuthorizeAddress(changes));
        var text = await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(page.StatusCode == HttpStatusCode.OK, $"{page.StatusCode} {page.Headers.Location} {text}");
        using var answered = await Browser.AnswerAsync(text);
        Assert.Equal(HttpStatusCode.Redirect, answered.StatusCode);
        return Parse(await Browser.FollowAsync(answered.Headers.Location!, redirect));
    }

    /// <summary>A code.</summary>
    public async Task<string> CodeAsync()
    {
        var answer = await SignInAsync();
        Assert.Equal("state of the client's", answer["state"]);
        Assert.Equal(setup.Address, answer["iss"]);
        return answer["code"];
    }

    /// <summary>Exchanges a code.</summary>
    public Task<(HttpStatusCode Status, JsonElement Answer)> RedeemAsync(string code, params (string Name, string? Value)[] changes) => AskAsync(
        [("grant_type", "authorization_code"), ("client_id", clientId), ("code", code), ("redirect_uri", redirect), ("code_verifier", Verifier), ("resource", Resource), .. changes]);

    /// <summary>Renews the tokens.</summary>
    public Task<(HttpStatusCode Status, JsonElement Answer)> RefreshAsync(string token, params (string Name, string? Value)[] changes) =>
        AskAsync([("grant_type", "refresh_token"), ("client_id", clientId), ("refresh_token", token), .. changes]);

    /// <summary>Signs in and takes the tokens.</summary>
    public async Task<(string Access, string Refresh)> TokensAsync()
    {
        var (status, answer) = await RedeemAsync(await CodeAsync());
        Assert.True(status == HttpStatusCode.OK, answer.ToString());
        return TokensOf(answer);
    }

    public static (string Access, string Refresh) TokensOf(JsonElement answer) => (answer.GetProperty("access_token").GetString()!, answer.GetProperty("refresh_token").GetString()!);

    public static Dictionary<string, string> Parse(Uri address)
    {
        var query = HttpUtility.ParseQueryString(address.Query);
        return query.AllKeys.ToDictionary(name => name!, name => query[name]!);
    }

    private async Task<(HttpStatusCode Status, JsonElement Answer)> AskAsync((string Name, string? Value)[] fields)
    {
        // The last one of a name counts; null leaves it out.
        var form = fields.GroupBy(field => field.Name).Select(group => group.Last()).Where(field => field.Value is not null).Select(field => KeyValuePair.Create(field.Name, field.Value!));
        using var response = await setup.Gateway.Anonymous.PostAsync("oauth/token", new FormUrlEncodedContent(form), TestContext.Current.CancellationToken);
        Assert.True(response.Headers.CacheControl!.NoStore);
        return (response.StatusCode, await response.JsonAsync());
    }
}
