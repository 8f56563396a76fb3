using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Time.Testing;
using Shared.Egress;
using TestSupport;

namespace Gateway.Tests.Providers;

/// <summary>Providers whose credential is a short-lived token: had from a token service when it is first needed, sent with each call, and never shown.</summary>
public sealed class AccountTests : IAsyncLifetime
{
    private const string Token = "ya29.short-lived";

    private readonly TemporaryFolder folder = new();
    private FakeApi api = null!;

    public async ValueTask InitializeAsync()
    {
        api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (request, context) => request.Target.StartsWith("/token", StringComparison.Ordinal) || request.Target.StartsWith("/msi", StringComparison.Ordinal)
            ? FakeApi.JsonAsync(context, $$"""{"access_token":"{{Token}}","token_type":"Bearer","expires_in":3600,"expires_on":"{{TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeSeconds()}}","resource":"r"}""")
            : Chat(context);
    }

    public async ValueTask DisposeAsync()
    {
        await api.DisposeAsync();
        folder.Dispose();
    }

    [Fact]
    public async Task Google_ServiceAccount_ItsTokenIsHadOnceAndSentWithEachCall()
    {
        var json = ServiceAccount();
        await using var gateway = await StartAsync($"auth: google, credentials: {{json: '${{env:ACCOUNT}}'}}", json);

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        var asked = Assert.Single(api.Requests, request => request.Target == "/token");
        Assert.Contains("assertion=", asked.Text, StringComparison.Ordinal);
        Assert.All(api.Requests.Where(request => request.Target != "/token"), request => Assert.Equal("Bearer " + Token, request.Headers["Authorization"]));
        Assert.Equal(3, api.Requests.Count);
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains(Token, StringComparison.Ordinal) || line.Message.Contains("PRIVATE KEY", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Google_TokenServiceRefuses_TheCallFailsWithoutShowingWhy()
    {
        api.Answer = (_, context) => FakeApi.JsonAsync(context, """{"error":"invalid_grant","error_description":"the-inner-reason"}""", StatusCodes.Status400BadRequest);
        await using var gateway = await StartAsync($"auth: google, credentials: {{json: '${{env:ACCOUNT}}'}}", ServiceAccount());

        using var response = await PostAsync(gateway);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.DoesNotContain("the-inner-reason", text, StringComparison.Ordinal);
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains("the-inner-reason", StringComparison.Ordinal));
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("No token could be had for provider 'cloud' (Google's token service refused: invalid_grant.)", StringComparison.Ordinal));
        Assert.All(api.Requests, request => Assert.Equal("/token", request.Target));
    }

    [Fact]
    public async Task Google_TokenServiceIsForbidden_IsNotConnectedTo()
    {
        await using var gateway = await StartAsync($"auth: google, credentials: {{json: '${{env:ACCOUNT}}'}}", ServiceAccount("http://localhost:1/token"), "egress: {deny: [localhost]}");

        using var response = await PostAsync(gateway);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Empty(api.Requests);
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("localhost", StringComparison.Ordinal) && line.Message.Contains("provider 'cloud' (token)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Google_ApplicationDefaultCredentials_AreRead()
    {
        var file = Path.Combine(folder.Path, "account.json");
        await File.WriteAllTextAsync(file, ServiceAccount(), TestContext.Current.CancellationToken);

        Assert.Equal("Bearer " + Token, await AskProcessAsync("auth: google", new Dictionary<string, string?> { ["GOOGLE_APPLICATION_CREDENTIALS"] = file }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Google_WorkloadIdentityFederation_TheMachinesTokenIsExchanged(bool impersonates)
    {
        var file = Path.Combine(folder.Path, "subject");
        await File.WriteAllTextAsync(file, "eyJ.of.the.machine", TestContext.Current.CancellationToken);
        var usual = api.Answer;
        api.Answer = (request, context) => request.Target.EndsWith(":generateAccessToken", StringComparison.Ordinal)
            ? FakeApi.JsonAsync(context, $$"""{"accessToken":"ya29.impersonated","expireTime":"{{TimeProvider.System.GetUtcNow().AddHours(1):yyyy-MM-ddTHH:mm:ssZ}}"}""")
            : usual(request, context);
        var json = JsonSerializer.Serialize(new Dictionary<string, object?>
        {
            ["type"] = "external_account",
            ["audience"] = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            ["subject_token_type"] = "urn:ietf:params:oauth:token-type:jwt",
            ["token_url"] = api.Address + "/token",
            ["credential_source"] = new { file },
            ["service_account_impersonation_url"] = impersonates ? api.Address + "/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken" : null,
        });
        await using var gateway = await StartAsync("auth: google, credentials: {json: '${env:ACCOUNT}'}", json);

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        var asked = Assert.Single(api.Requests, request => request.Target == "/token");
        Assert.Contains("subject_token=eyJ.of.the.machine", asked.Text, StringComparison.Ordinal);
        Assert.Equal(impersonates ? "Bearer ya29.impersonated" : "Bearer " + Token, api.Last.Headers["Authorization"]);
        Assert.Equal(impersonates ? 3 : 2, api.Requests.Count);
        AssertNotLogged(gateway, Token, "eyJ.of.the.machine", "ya29.impersonated");
    }

    [Fact]
    public async Task Google_MachinesServiceAccount_IsAskedOfTheMetadataServer()
    {
        api.Answer = (request, context) => request.Target.StartsWith("/computeMetadata/", StringComparison.Ordinal)
            ? FakeApi.JsonAsync(context, $$"""{"access_token":"{{Token}}","token_type":"Bearer","expires_in":3600}""")
            : Chat(context);

        var sent = await AskProcessAsync("auth: google", new Dictionary<string, string?>
        {
            ["GCE_METADATA_HOST"] = new Uri(api.Address).Authority, ["GOOGLE_APPLICATION_CREDENTIALS"] = null, ["CLOUDSDK_CONFIG"] = folder.Path,
        });

        Assert.Equal("Bearer " + Token, sent);
        var asked = api.Requests.First(request => request.Target.Contains("/token", StringComparison.Ordinal));
        Assert.Equal("Google", asked.Headers["Metadata-Flavor"]);
    }

    [Fact]
    public async Task Google_MachinesServiceAccount_WithoutLeaveOfTheEgressPolicy_IsNotAsked()
    {
        await using var gateway = await StartAsync("auth: google", "", environment: new() { ["CLOUDSDK_CONFIG"] = folder.Path }, resolve: host => host.Contains("metadata", StringComparison.Ordinal) ? "169.254.169.254" : "127.0.0.1");

        using var response = await PostAsync(gateway);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.DoesNotContain("169.254", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("169.254.169.254", StringComparison.Ordinal) && line.Message.Contains("egress.allow", StringComparison.Ordinal));
        Assert.Empty(api.Requests);
    }

    [Fact]
    public async Task Google_FileThatIsNotThere_SaysSo()
    {
        await using var gateway = await StartAsync("auth: google", "", environment: new() { ["GOOGLE_APPLICATION_CREDENTIALS"] = Path.Combine(folder.Path, "none.json") });

        await AssertNoCredentialAsync(gateway);

        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("GOOGLE_APPLICATION_CREDENTIALS names cannot be read", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Google_TokenIsRenewedBeforeItsEnd_AndFailuresMeanwhileGoUnseen()
    {
        var clock = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var asked = 0;
        api.Answer = (request, context) => request.Target != "/token" ? Chat(context) : Interlocked.Increment(ref asked) switch
        {
            2 => FakeApi.JsonAsync(context, """{"error":"temporarily_unavailable"}""", StatusCodes.Status400BadRequest),
            var n => FakeApi.JsonAsync(context, $$"""{"access_token":"token-{{n}}","token_type":"Bearer","expires_in":3600}"""),
        };
        await using var gateway = await StartAsync("auth: google, credentials: {json: '${env:ACCOUNT}'}", ServiceAccount(), clock: clock);

        var calls = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync(gateway)));
        Assert.All(calls, status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(1, asked);

        clock.Advance(TimeSpan.FromMinutes(56));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        await gateway.Logs.WaitForAsync("No token could be had for provider 'cloud'");
        clock.Advance(TimeSpan.FromSeconds(20));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while (api.Requests.Last(request => request.Target != "/token").Headers["Authorization"] != "Bearer token-3")
        {
            patience.Token.ThrowIfCancellationRequested();
            Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        }
        Assert.All(api.Requests.Where(request => request.Target != "/token").SkipLast(1).Take(21), request => Assert.Equal("Bearer token-1", request.Headers["Authorization"]));
        clock.Advance(TimeSpan.FromMinutes(5)); // past the end of the first

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        Assert.Equal("Bearer token-3", api.Last.Headers["Authorization"]);
        Assert.Equal(3, asked);
    }

    [Theory]
    [InlineData("""{"token_type":"Bearer","expires_in":3600}""", 200)]
    [InlineData("""{"access_token":"","token_type":"Bearer","expires_in":3600}""", 200)]
    [InlineData("""{"access_token":"the-inner-reason two","token_type":"Bearer","expires_in":3600}""", 200)]
    [InlineData("""{"access_token":"the-inner-reason","token_type":"Bearer","expires_in":0}""", 200)]
    [InlineData("""{"access_token":"the-inner-reason","token_type":"Bearer"}""", 200)]
    [InlineData("the-inner-reason", 200)]
    [InlineData("the-inner-reason", 403)]
    [InlineData("""{"error":"the-inner-reason"}""", 400)]
    public async Task Google_NoUsableToken_CallerIsToldPlainly_AndTheNextCallTriesAgain(string answer, int status)
    {
        var clock = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var usual = api.Answer;
        api.Answer = (request, context) => request.Target == "/token" ? FakeApi.JsonAsync(context, answer, status) : Chat(context);
        await using var gateway = await StartAsync("auth: google, credentials: {json: '${env:ACCOUNT}'}", ServiceAccount(), clock: clock);

        await AssertNoCredentialAsync(gateway);
        AssertNotLogged(gateway, "the-inner-reason");

        api.Answer = usual;
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
    }

    [Fact]
    public async Task Azure_ClientSecret_ItsTokenIsSent()
    {
        await using var entra = await StartEntraAsync(null);

        var sent = await AskProcessAsync($"auth: azure, credentials: {{tenantId: {Tenant}, clientId: the-client, clientSecret: of-the-client, authority: '{entra.Address}'}}", Trusting());

        Assert.Equal("Bearer " + Token, sent);
        var asked = Assert.Single(entra.Requests, request => request.Method == "POST");
        Assert.Equal($"/{Tenant}/oauth2/v2.0/token", asked.Target.Split('?')[0]);
        Assert.Contains("client_secret=of-the-client", asked.Text, StringComparison.Ordinal);
        Assert.Contains("scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default", asked.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Azure_WorkloadIdentity_ItsFileIsExchanged()
    {
        await using var entra = await StartEntraAsync(null);
        var file = Path.Combine(folder.Path, "federated");
        await File.WriteAllTextAsync(file, "eyJ.of.the.pod", TestContext.Current.CancellationToken);
        var environment = Trusting();
        (environment["AZURE_FEDERATED_TOKEN_FILE"], environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"]) = (file, Tenant, "of-the-pod");

        var sent = await AskProcessAsync($"auth: azure, credentials: {{authority: '{entra.Address}'}}", environment);

        Assert.Equal("Bearer " + Token, sent);
        var asked = Assert.Single(entra.Requests, request => request.Method == "POST");
        Assert.Contains("client_assertion=eyJ.of.the.pod", asked.Text, StringComparison.Ordinal);
        Assert.Contains("client_id=of-the-pod", asked.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task VendorsLibraries_AreLoadedByTheFirstCallThatNeedsThem_AndNotBefore()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "not run: reads /proc");
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), $$"""
            providers:
              google: {baseUrl: '{{api.Address}}/v1', auth: google, maxRetries: 0}
              azure: {baseUrl: '{{api.Address}}/v1', auth: azure, maxRetries: 0}
              aws: {baseUrl: 'https://bedrock-runtime.eu-west-1.amazonaws.com/v1', auth: aws, maxRetries: 0}
              own: {baseUrl: '{{api.Address}}/v1', auth: aws, credentials: {accessKeyId: AKID, secretAccessKey: s3cret}, maxRetries: 0}
            prices:
              - {provider: google, model: m, input: 1, output: 1}
              - {provider: azure, model: m, input: 1, output: 1}
              - {provider: aws, model: m, input: 1, output: 1}
              - {provider: own, model: m, input: 1, output: 1}
            """, TestContext.Current.CancellationToken);
        var environment = new Dictionary<string, string?>
        {
            ["HOME"] = folder.Path, ["CLOUDSDK_CONFIG"] = folder.Path, ["GOOGLE_APPLICATION_CREDENTIALS"] = null, ["GCE_METADATA_HOST"] = new Uri(api.Address).Authority,
            ["IDENTITY_ENDPOINT"] = api.Address + "/msi", ["IDENTITY_HEADER"] = "h", ["AWS_PROFILE"] = "none", ["AWS_ACCESS_KEY_ID"] = null,
        };
        Directory.CreateDirectory(Path.Combine(folder.Path, ".aws"));
        await File.WriteAllTextAsync(Path.Combine(folder.Path, ".aws", "credentials"), "[other]\naws_access_key_id = AKID\naws_secret_access_key = s3cret\n", TestContext.Current.CancellationToken);
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, environment, TestContext.Current.CancellationToken);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress, DefaultRequestHeaders = { { "x-api-key", gateway.VirtualKey } } };
        async Task<List<string>> LoadedAfterAsync(string model)
        {
            using var response = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), new { model, max_tokens = 5, messages = new[] { new { role = "user", content = "Hi" } } }, TestContext.Current.CancellationToken);
            var maps = await File.ReadAllTextAsync($"/proc/{gateway.Id}/maps", TestContext.Current.CancellationToken);
            Assert.Contains("LlmProxy.dll", maps, StringComparison.Ordinal); // it is seen there
            return [.. ((string[])["Google.Apis.Auth.dll", "Azure.Core.dll", "AWSSDK.Core.dll"]).Where(maps.Contains)];
        }

        Assert.Empty(await LoadedAfterAsync("simulator/echo"));
        Assert.Empty(await LoadedAfterAsync("own/m"));
        Assert.Equal(["Google.Apis.Auth.dll"], await LoadedAfterAsync("google/m"));
        Assert.Equal(["Google.Apis.Auth.dll", "Azure.Core.dll"], await LoadedAfterAsync("azure/m"));
        Assert.Equal(["Google.Apis.Auth.dll", "Azure.Core.dll", "AWSSDK.Core.dll"], await LoadedAfterAsync("aws/m"));
    }

    [Fact]
    public async Task Azure_Refused_TheCodeIsLoggedAndNothingElse()
    {
        await using var entra = await StartEntraAsync("""{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided: of-the-client. the-inner-reason","error_codes":[7000215]}""");
        await WriteAsync($"auth: azure, credentials: {{tenantId: {Tenant}, clientId: the-client, clientSecret: of-the-client, authority: '{entra.Address}'}}");
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, Trusting(), TestContext.Current.CancellationToken);

        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress, DefaultRequestHeaders = { { "x-api-key", gateway.VirtualKey } } };
        using var response = await client.PostAsJsonAsync(new Uri("v1/messages", UriKind.Relative), Question, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        await gateway.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.StartsWith("{\"type\":\"error\"", text, StringComparison.Ordinal);
        Assert.Contains("no credential", text, StringComparison.Ordinal);
        Assert.Contains("AADSTS7000215", gateway.Output + gateway.Error, StringComparison.Ordinal);
        foreach (var secret in (string[])["of-the-client", "the-inner-reason", entra.Address])
        {
            Assert.DoesNotContain(secret, text + gateway.Output + gateway.Error, StringComparison.Ordinal);
        }
        Assert.Empty(api.Requests);
    }

    [Fact]
    public async Task Google_EndpointsBesideText_GetTheTokenToo()
    {
        await using var gateway = await StartAsync("auth: google, credentials: {json: '${env:ACCOUNT}'}, endpoints: [rerank, images.generate, audio.transcriptions, files, realtime]", ServiceAccount(), "routes: {m: {targets: [cloud/m], reservation: 0.01}}");

        await AskEverywhereAsync(gateway);

        Assert.Single(api.Requests, request => request.Target == "/token");
        Assert.Equal(Everywhere, api.Requests.Where(request => request.Target != "/token").Select(request => request.Target));
        Assert.All(api.Requests.Where(request => request.Target != "/token"), request => Assert.Equal("Bearer " + Token, request.Headers["Authorization"]));
    }

    [Fact]
    public async Task Aws_EndpointsBesideText_AreSignedAsTheyAreSent()
    {
        await using var gateway = await StartAsync("auth: aws, credentials: {accessKeyId: AKIDEXAMPLE, secretAccessKey: '${env:ACCOUNT}'}, endpoints: [rerank, images.generate, audio.transcriptions, files, realtime]", "wJalrXUtnFEMI", "routes: {m: {targets: [cloud/m], reservation: 0.01}}");

        await AskEverywhereAsync(gateway);

        Assert.Equal(Everywhere, api.Requests.Select(request => request.Target));
        Assert.All(api.Requests, request => Assert.Equal(AwsSignature.Of(request, "wJalrXUtnFEMI"), request.Headers["Authorization"].Split("Signature=")[1]));
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains("wJalrXUtnFEMI", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Azure_ManagedIdentity_ItsTokenIsSent()
    {
        Assert.Equal("Bearer " + Token, await AskProcessAsync("auth: azure", new Dictionary<string, string?> { ["IDENTITY_ENDPOINT"] = api.Address + "/msi", ["IDENTITY_HEADER"] = "of-the-platform" }));

        var asked = Assert.Single(api.Requests, request => request.Target.StartsWith("/msi", StringComparison.Ordinal));
        Assert.Contains("resource=https://cognitiveservices.azure.com", asked.Target, StringComparison.Ordinal);
        Assert.Equal("of-the-platform", asked.Headers["X-IDENTITY-HEADER"]);
    }

    private const string Tenant = "11111111-2222-3333-4444-555555555555";

    /// <summary>What is trusted by a process that <see cref="StartEntraAsync"/> came before: the certificate of the token service, which speaks nothing but TLS.</summary>
    private Dictionary<string, string?> Trusting() => new() { ["SSL_CERT_FILE"] = Path.Combine(folder.Path, "certificate.pem") };

    /// <summary>Starts a token service of Microsoft's kind.</summary>
    private async Task<FakeApi> StartEntraAsync(string? refusal)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var made = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "certificate.pem"), made.ExportCertificatePem(), TestContext.Current.CancellationToken);
        var entra = await FakeApi.StartAsync(TestContext.Current.CancellationToken, X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null));
        entra.Answer = (request, context) => request.Method == "GET"
            ? FakeApi.JsonAsync(context, $$"""{"token_endpoint":"{{entra.Address}}/{{Tenant}}/oauth2/v2.0/token","authorization_endpoint":"{{entra.Address}}/{{Tenant}}/oauth2/v2.0/authorize","issuer":"{{entra.Address}}/{{Tenant}}/v2.0"}""")
            : refusal is null ? FakeApi.JsonAsync(context, $$"""{"access_token":"{{Token}}","token_type":"Bearer","expires_in":3600,"ext_expires_in":3600}""") : FakeApi.JsonAsync(context, refusal, StatusCodes.Status401Unauthorized);
        return entra;
    }

    private static Task Chat(HttpContext context) =>
        FakeApi.JsonAsync(context, """{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}""");

    private static void AssertNotLogged(TestGateway gateway, params string[] secrets) =>
        Assert.DoesNotContain(gateway.Logs.Lines, line => secrets.Any(secret => line.Message.Contains(secret, StringComparison.Ordinal)));

    private async Task AssertNoCredentialAsync(TestGateway gateway)
    {
        using var response = await PostAsync(gateway);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.BadGateway, text);
        Assert.Contains("\"no_credential\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("the-inner-reason", text, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
        Assert.DoesNotContain(folder.Path, text, StringComparison.Ordinal);
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("No token could be had for provider 'cloud'", StringComparison.Ordinal));
        Assert.DoesNotContain(api.Requests, request => request.Target == "/v1/chat/completions");
    }

    private Task WriteAsync(string auth) =>
        File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), $"providers: {{cloud: {{baseUrl: '{api.Address}/v1', {auth}, maxRetries: 0}}}}\nprices: [{{provider: cloud, model: m, input: 1, output: 1}}]\n", TestContext.Current.CancellationToken);

    private async Task<string> AskProcessAsync(string auth, Dictionary<string, string?> environment)
    {
        await WriteAsync(auth);
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, environment, TestContext.Current.CancellationToken);
        using var handler = new SocketsHttpHandler();
        using var client = new HttpClient(handler) { BaseAddress = gateway.BaseAddress, DefaultRequestHeaders = { { "x-api-key", gateway.VirtualKey } } };
        using var response = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), Question, TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {gateway.Output}{gateway.Error}");
        Assert.DoesNotContain(Token, gateway.Output + gateway.Error, StringComparison.Ordinal);
        return Assert.Single(api.Requests, request => request.Target == "/v1/chat/completions").Headers["Authorization"];
    }

    private static string[] Everywhere => ["/v1/rerank", "/v1/images/generations", "/v1/audio/transcriptions", "/v1/audio/transcriptions", "/v1/files", "/v1/realtime?model=m&intent=conversation&a=b%20c"];

    private static async Task AskEverywhereAsync(TestGateway gateway)
    {
        using var ranked = await gateway.Client.PostAsJsonAsync(new Uri("v1/rerank", UriKind.Relative), new { model = "m", query = "q", documents = new[] { "d" } }, TestContext.Current.CancellationToken);
        using var painted = await gateway.Client.PostAsJsonAsync(new Uri("v1/images/generations", UriKind.Relative), new { model = "m", prompt = "p" }, TestContext.Current.CancellationToken);
        foreach (var size in (int[])[1000, 3_000_000])
        {
            using var sound = new MultipartFormDataContent { { new StringContent("m"), "model" }, { new ByteArrayContent(new byte[size]), "file", "a.wav" } };
            using var heard = await gateway.Client.PostAsync(new Uri("v1/audio/transcriptions", UriKind.Relative), sound, TestContext.Current.CancellationToken);
        }
        using var upload = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent("{}"u8.ToArray()), "file", "a.jsonl" } };
        using var kept = await gateway.Client.PostAsync(new Uri("v1/files", UriKind.Relative), upload, TestContext.Current.CancellationToken);
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("x-api-key", gateway.VirtualKey);
        // The provider speaks no WebSocket; that it was asked is enough.
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(
            new UriBuilder(new Uri(gateway.Client.BaseAddress!, "v1/realtime?model=m&intent=conversation&a=b%20c")) { Scheme = "ws" }.Uri, TestContext.Current.CancellationToken));
    }

    private static object Question => new { model = "cloud/m", max_tokens = 10, messages = new[] { new { role = "user", content = "Hi" } } };

    private Task<TestGateway> StartAsync(string auth, string account, string more = "", TimeProvider? clock = null, Dictionary<string, string>? environment = null, Func<string, string>? resolve = null) => TestGateway.StartAsync(new TestGatewayOptions
    {
        Clock = clock,
        Builder = resolve is null ? null : builder => builder.Services.Replace(ServiceDescriptor.Singleton<HostResolver>((host, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse(resolve(host))]))),
        Configuration = $"providers: {{cloud: {{baseUrl: '{api.Address}/v1', {auth}, maxRetries: 0}}}}\nprices: [{{provider: cloud, model: m, input: 1, output: 1}}]\n{more}\n",
        Environment = new Dictionary<string, string>(environment ?? []) { ["ACCOUNT"] = account },
    }, TestContext.Current.CancellationToken);

    private static Task<HttpResponseMessage> PostAsync(TestGateway gateway) => gateway.Client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), Question, TestContext.Current.CancellationToken);

    private static async Task<HttpStatusCode> AskAsync(TestGateway gateway)
    {
        using var response = await PostAsync(gateway);
        return response.StatusCode;
    }

    private string ServiceAccount(string? tokenAddress = null)
    {
        using var key = RSA.Create(2048);
        return JsonSerializer.Serialize(new
        {
            type = "service_account",
            project_id = "p",
            private_key_id = "k",
            private_key = key.ExportPkcs8PrivateKeyPem(),
            client_email = "gateway@p.iam.gserviceaccount.com",
            client_id = "1",
            token_uri = tokenAddress ?? api.Address + "/token",
        });
    }
}
