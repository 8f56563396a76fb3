using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Time.Testing;
using Shared.Egress;
using TestSupport;

namespace Gateway.Tests.Providers;

/// <summary>Access keys of AWS that the machine lends: found where AWS's own SDKs look, for hosts of AWS alone, renewed before they end, and only from where the admin lets the gateway connect.</summary>
public sealed class MachineKeysTests : IAsyncLifetime
{
    private const string AwsHost = "bedrock-runtime.eu-west-1.amazonaws.com";
    private const string Secret = "s3cr3t/of+the+machine=";
    private const string Session = "session//token+of+the+machine==";

    private readonly TemporaryFolder folder = new();
    private readonly FakeTimeProvider clock = new(TimeProvider.System.GetUtcNow());
    private FakeApi api = null!;
    private Func<FakeApiRequest, HttpContext, Task> lend = (_, context) => FakeApi.JsonAsync(context, "{}");

    public async ValueTask InitializeAsync()
    {
        api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (request, context) => IsModelCall(request)
            ? FakeApi.JsonAsync(context, """{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}""")
            : lend(request, context);
    }

    public async ValueTask DisposeAsync()
    {
        await api.DisposeAsync();
        folder.Dispose();
    }

    [Fact]
    public async Task Environment_ItsKeySignsForAws()
    {
        await using var gateway = await StartAsync(new() { ["AWS_ACCESS_KEY_ID"] = "AKIDENV", ["AWS_SECRET_ACCESS_KEY"] = Secret, ["AWS_SESSION_TOKEN"] = Session });

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        Assert.Equal("AKIDENV", AwsSignature.KeyOf(Assert.Single(api.Requests), Secret));
        Assert.Equal(Session, api.Last.Headers["x-amz-security-token"]);
    }

    [Theory]
    [InlineData("http://localhost:PORT")]
    [InlineData("http://amazonaws.com.example:PORT")]
    [InlineData("http://evilamazonaws.com:PORT")]
    public async Task HostThatIsNotOfAws_GetsNoKeyOfTheMachine(string host)
    {
        lend = (_, context) => LendAsync(context, "AKIDONE", TimeSpan.FromHours(1));
        await using var gateway = await StartAsync(new()
        {
            ["AWS_ACCESS_KEY_ID"] = "AKIDENV", ["AWS_SECRET_ACCESS_KEY"] = Secret, ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = api.Address + "/role",
        }, host.Replace("PORT", new Uri(api.Address).Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));

        await AssertNoCredentialAsync(gateway, "hosts of AWS alone");

        Assert.Empty(api.Requests);
    }

    [Theory]
    [InlineData("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1")]
    [InlineData("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1")]
    [InlineData("Bedrock-Runtime.CN-North-1.amazonaws.com.cn", "cn-north-1")]
    [InlineData("bedrock-runtime.cn-northwest-1.api.amazonwebservices.com.cn", "cn-northwest-1")]
    [InlineData("bedrock-runtime.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1")]
    [InlineData("bedrock-runtime.ap-southeast-2.api.aws", "ap-southeast-2")]
    [InlineData("bedrock-mantle.us-west-2.api.aws", "us-west-2")]
    [InlineData("vpce-0a1b-2c3d.bedrock-runtime.eu-west-3.vpce.amazonaws.com", "eu-west-3")]
    [InlineData("proxy.amazonaws.com", "sa-east-1")]
    public async Task HostOfAws_ItsRegionIsThatOfTheSignature(string host, string region)
    {
        await using var gateway = await StartAsync(new() { ["AWS_ACCESS_KEY_ID"] = "AKIDENV", ["AWS_SECRET_ACCESS_KEY"] = Secret, ["AWS_REGION"] = "sa-east-1" }, $"http://{host}:{new Uri(api.Address).Port}");

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        Assert.Equal("AKIDENV", AwsSignature.KeyOf(Assert.Single(api.Requests), Secret));
        Assert.Contains($"/{region}/bedrock/aws4_request,", api.Last.Headers["Authorization"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Container_KeyIsRenewedBeforeItsEndWhileCallsGoOn()
    {
        var token = Write("token", "pod-token\n");
        var lent = 0;
        lend = (_, context) => LendAsync(context, Interlocked.Increment(ref lent) == 1 ? "AKIDONE" : "AKIDTWO", TimeSpan.FromHours(1));
        await using var gateway = await StartAsync(new() { ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = api.Address + "/role?of=pod", ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = token });

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        Assert.Equal(["/role?of=pod", Calls, Calls], api.Requests.Select(request => request.Target));
        Assert.Equal("pod-token", api.Requests[0].Headers["Authorization"]);
        Assert.Equal("AKIDONE", AwsSignature.KeyOf(api.Last, Secret));
        Assert.Equal(Session, api.Last.Headers["x-amz-security-token"]);

        clock.Advance(TimeSpan.FromMinutes(56));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        Assert.Equal("AKIDONE", AwsSignature.KeyOf(api.Requests.Last(IsModelCall), Secret));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while (AwsSignature.KeyOf(api.Requests.Last(IsModelCall), Secret) != "AKIDTWO")
        {
            patience.Token.ThrowIfCancellationRequested();
            Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        }
        clock.Advance(TimeSpan.FromMinutes(5)); // past the end of the first
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
        Assert.Equal("AKIDTWO", AwsSignature.KeyOf(api.Last, Secret));
        Assert.Equal(2, lent);
        AssertNothingLeaked(gateway);
    }

    [Fact]
    public async Task ManyCallsAtOnce_ShareOneFetch()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lend = async (_, context) =>
        {
            await open.Task;
            await LendAsync(context, "AKIDONE", TimeSpan.FromHours(1));
        };
        await using var gateway = await StartAsync(new() { ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = api.Address + "/role" });

        var calls = Enumerable.Range(0, 20).Select(_ => AskAsync(gateway)).ToList();
        await api.ReceivedAsync(1);
        open.SetResult();

        Assert.All(await Task.WhenAll(calls), status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Single(api.Requests, request => request.Target == "/role");
    }

    [Fact]
    public async Task Instance_IsAskedByVersionTwo()
    {
        lend = (request, context) => (request.Method, request.Target) switch
        {
            ("PUT", "/latest/api/token") => FakeApi.WriteAsync(context, "text/plain", "imds-session"u8.ToArray()),
            ("GET", "/latest/meta-data/iam/security-credentials/") => FakeApi.WriteAsync(context, "text/plain", "the-role"u8.ToArray()),
            ("GET", "/latest/meta-data/iam/security-credentials/the-role") => LendAsync(context, "ASIAINSTANCE", TimeSpan.FromHours(6)),
            _ => FakeApi.JsonAsync(context, "{}", 404),
        };
        await using var gateway = await StartAsync(new() { ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = api.Address });

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        Assert.Equal("ASIAINSTANCE", AwsSignature.KeyOf(api.Last, Secret));
        Assert.Equal("60", api.Requests[0].Headers["X-aws-ec2-metadata-token-ttl-seconds"]);
        Assert.All(api.Requests.Skip(1).Take(2), request => Assert.Equal("imds-session", request.Headers["X-aws-ec2-metadata-token"]));
        AssertNothingLeaked(gateway, "imds-session");
    }

    [Fact]
    public async Task Instance_WithoutLeaveOfTheEgressPolicy_IsNotAsked()
    {
        await using var gateway = await StartAsync([]);

        await AssertNoCredentialAsync(gateway, "egress.allow");

        Assert.Empty(api.Requests);
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("169.254.169.254", StringComparison.Ordinal) && line.Message.Contains("provider 'cloud' (token)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Container_WithoutLeaveOfTheEgressPolicy_IsNotAsked()
    {
        await using var gateway = await StartAsync(new() { ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/one" });

        await AssertNoCredentialAsync(gateway, "egress.allow");

        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("169.254.170.2", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Container_TokenIsNotSentInTheClearToStrangers()
    {
        await using var gateway = await StartAsync(new() { ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = $"http://keys.example:{new Uri(api.Address).Port}/role", ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "pod-token" });

        await AssertNoCredentialAsync(gateway, "AWS_CONTAINER_CREDENTIALS_FULL_URI");

        Assert.Empty(api.Requests);
    }

    [Fact]
    public async Task WebIdentity_IsExchangedForTheRole()
    {
        lend = (_, context) => LendRoleAsync(context, "AssumeRoleWithWebIdentity", "ASIAIRSA");
        await using var gateway = await StartAsync(new()
        {
            ["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "eyJ.service.account"), ["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/gateway", ["AWS_ENDPOINT_URL_STS"] = api.Address,
            ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = api.Address + "/never",
        });

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        Assert.Equal("ASIAIRSA", AwsSignature.KeyOf(api.Last, Secret));
        Assert.Equal(2, api.Requests.Count);
        var exchange = api.Requests[0];
        Assert.Contains("Action=AssumeRoleWithWebIdentity", exchange.Text, StringComparison.Ordinal);
        Assert.Contains("WebIdentityToken=eyJ.service.account", exchange.Text, StringComparison.Ordinal);
        Assert.Contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgateway", exchange.Text, StringComparison.Ordinal);
        Assert.False(exchange.Headers.ContainsKey("Authorization"));
        AssertNothingLeaked(gateway, "eyJ.service.account");
    }

    [Fact]
    public async Task WebIdentity_Refused_TheCodeIsLoggedAndNothingElse()
    {
        lend = (_, context) => FakeApi.WriteAsync(context, "text/xml", """
            <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>the-inner-reason eyJ.service.account</Message></Error><RequestId>r</RequestId></ErrorResponse>
            """u8.ToArray(), 403);
        await using var gateway = await StartAsync(new()
        {
            ["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "eyJ.service.account"), ["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/gateway", ["AWS_ENDPOINT_URL_STS"] = api.Address,
        });

        await AssertNoCredentialAsync(gateway, "AccessDenied");

        AssertNothingLeaked(gateway, "eyJ.service.account");
        AssertNothingLeaked(gateway, "the-inner-reason");
    }

    [Fact]
    public async Task WebIdentity_FileIsMissing_SaysSo()
    {
        await using var gateway = await StartAsync(new() { ["AWS_WEB_IDENTITY_TOKEN_FILE"] = Path.Combine(folder.Path, "none"), ["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/x" });

        await AssertNoCredentialAsync(gateway, "AWS_WEB_IDENTITY_TOKEN_FILE");
    }

    [Theory]
    [InlineData("default", "AKIDFILE")]
    [InlineData("program", "AKIDPROGRAM")]
    [InlineData("role", "ASIAROLE")]
    [InlineData("chained", "ASIAROLE")]
    [InlineData("of-container", "ASIAROLE")]
    public async Task Profile_ItsKeyIsUsed(string profile, string key)
    {
        lend = (request, context) => request.Target == "/role" ? LendAsync(context, "AKIDCONTAINER", TimeSpan.FromHours(1)) : LendRoleAsync(context, "AssumeRole", "ASIAROLE");
        await using var gateway = await StartAsync(WithProfiles(profile == "default" ? null : profile));

        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));

        Assert.Equal(key, AwsSignature.KeyOf(api.Last, Secret));
        var exchanges = api.Requests.Where(request => request.Target == "/").ToList();
        Assert.Equal(profile switch { "role" or "of-container" => 1, "chained" => 2, _ => 0 }, exchanges.Count);
        Assert.All(exchanges, request => Assert.Contains("Action=AssumeRole&", request.Text, StringComparison.Ordinal));
        if (exchanges is [{ } first, ..])
        {
            Assert.Contains(profile == "of-container" ? "Credential=AKIDCONTAINER/" : "Credential=AKIDFILE/", first.Headers["Authorization"], StringComparison.Ordinal);
        }
        if (profile == "chained")
        {
            Assert.Contains("ExternalId=outside", exchanges[1].Text, StringComparison.Ordinal);
            Assert.Contains("Credential=ASIAROLE/", exchanges[1].Headers["Authorization"], StringComparison.Ordinal);
        }
        AssertNothingLeaked(gateway);
    }

    [Theory]
    [InlineData("nowhere", "AWS_PROFILE")]
    [InlineData("two-devices", "mfa_serial")]
    [InlineData("signs-in", "sso_session")]
    [InlineData("circle", "source_profile")]
    [InlineData("rootless", "credential_source")]
    [InlineData("broken-program", "credential_process")]
    public async Task Profile_ThatGivesNoKey_SaysWhy(string profile, string named)
    {
        lend = (_, context) => LendRoleAsync(context, "AssumeRole", "ASIAROLE");
        await using var gateway = await StartAsync(WithProfiles(profile));

        await AssertNoCredentialAsync(gateway, named);

        Assert.Empty(api.Requests);
        AssertNothingLeaked(gateway, "never-to-be-seen");
    }

    [Theory]
    [InlineData("""{"AccessKeyId":"","SecretAccessKey":"s3cr3t/of+the+machine=","Token":"t","Expiration":"2999-01-01T00:00:00Z"}""", 200, "empty")]
    [InlineData("""{"AccessKeyId":"A B","SecretAccessKey":"s3cr3t/of+the+machine=","Token":"t","Expiration":"2999-01-01T00:00:00Z"}""", 200, "no key")]
    [InlineData("""{"AccessKeyId":"AKID","SecretAccessKey":"s3cr3t/of+the+machine=","Token":"t","Expiration":"2001-01-01T00:00:00Z"}""", 200, "expired")]
    [InlineData("""{"Code":"Failed","Message":"s3cr3t/of+the+machine="}""", 200, "no key")]
    [InlineData("s3cr3t/of+the+machine=", 200, "no key")]
    [InlineData("s3cr3t/of+the+machine=", 500, "status 500")]
    [InlineData("s3cr3t/of+the+machine=", 302, "status 302")]
    public async Task ServiceFails_CallerIsToldPlainly_AndTheNextCallTriesAgain(string answer, int status, string logged)
    {
        lend = (_, context) => FakeApi.JsonAsync(context, answer, status);
        await using var gateway = await StartAsync(new() { ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = api.Address + "/role" });

        await AssertNoCredentialAsync(gateway, logged);
        AssertNothingLeaked(gateway);
        Assert.DoesNotContain(api.Requests, IsModelCall);

        lend = (_, context) => LendAsync(context, "AKIDONE", TimeSpan.FromHours(1));
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway));
    }

    [Theory]
    [InlineData("v1/chat/completions", """{"model":"cloud/m","messages":[{"role":"user","content":"Hi"}]}""", "error.code")]
    [InlineData("v1/responses", """{"model":"cloud/m","input":"Hi"}""", "error.code")]
    [InlineData("v1/messages", """{"model":"cloud/m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}""", "error.message")]
    [InlineData("genai/v1beta/models/cloud%2Fm:generateContent", """{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}""", "error.message")]
    [InlineData("bedrock/model/cloud%2Fm/converse", """{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}""", "message")]
    [InlineData("v1/embeddings", """{"model":"cloud/m","input":"Hi"}""", "error.code")]
    public async Task NoCredential_IsSaidInTheCallersFormat(string path, string body, string where)
    {
        await using var gateway = await StartAsync([]);
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");

        using var response = await gateway.Client.PostAsync(new Uri(path, UriKind.Relative), content, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        using var json = JsonDocument.Parse(text);
        var element = where.Split('.').Aggregate(json.RootElement, (element, name) => element.GetProperty(name));
        Assert.Contains(where.EndsWith("code", StringComparison.Ordinal) ? "no_credential" : "no credential", element.GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("169.254", text, StringComparison.Ordinal);
        Assert.Empty(api.Requests);
    }

    private const string Calls = "/v1/chat/completions";

    private static bool IsModelCall(FakeApiRequest request) => request.Target.StartsWith("/v1/", StringComparison.Ordinal);

    private Task LendAsync(HttpContext context, string id, TimeSpan life) => FakeApi.JsonAsync(context, JsonSerializer.Serialize(new
    {
        Code = "Success",
        AccessKeyId = id,
        SecretAccessKey = Secret,
        Token = Session,
        Expiration = (clock.GetUtcNow() + life).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
    }));

    private Task LendRoleAsync(HttpContext context, string action, string id) => FakeApi.WriteAsync(context, "text/xml", System.Text.Encoding.UTF8.GetBytes($"""
        <{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{Secret}</SecretAccessKey>
        <SessionToken>{Session}</SessionToken><Expiration>{clock.GetUtcNow().AddHours(1):yyyy-MM-ddTHH:mm:ssZ}</Expiration></Credentials></{action}Result>
        <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>
        """));

    private string Write(string name, string text)
    {
        var path = Path.Combine(folder.Path, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    private Dictionary<string, string> WithProfiles(string? profile)
    {
        Write(".aws/credentials", $"[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = {Secret}\n");
        var program = Write("program", $$"""{"Version":1,"AccessKeyId":"AKIDPROGRAM","SecretAccessKey":"{{Secret}}","SessionToken":"{{Session}}","Expiration":"{{clock.GetUtcNow().AddHours(1):yyyy-MM-ddTHH:mm:ssZ}}"}""");
        Write(".aws/config", $"""
            [default]
            region = eu-west-1
            [profile program]
            credential_process = /bin/cat {program}
            [profile broken-program]
            credential_process = /bin/echo never-to-be-seen
            [profile role]
            role_arn = arn:aws:iam::123456789012:role/one
            source_profile = default
            [profile chained]
            role_arn = arn:aws:iam::123456789012:role/two
            source_profile = role
            external_id = outside
            [profile of-container]
            role_arn = arn:aws:iam::123456789012:role/one
            credential_source = EcsContainer
            [profile two-devices]
            role_arn = arn:aws:iam::123456789012:role/one
            source_profile = default
            mfa_serial = arn:aws:iam::123456789012:mfa/me
            [profile signs-in]
            sso_session = company
            sso_account_id = 123456789012
            sso_role_name = me
            [sso-session company]
            sso_region = eu-west-1
            sso_start_url = https://company.example/start
            [profile circle]
            role_arn = arn:aws:iam::123456789012:role/one
            source_profile = round
            [profile round]
            role_arn = arn:aws:iam::123456789012:role/one
            source_profile = circle
            [profile rootless]
            role_arn = arn:aws:iam::123456789012:role/one
            """);
        var environment = new Dictionary<string, string> { ["AWS_ENDPOINT_URL_STS"] = api.Address, ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = api.Address + "/role" };
        if (profile is not null)
        {
            environment["AWS_PROFILE"] = profile;
        }
        return environment;
    }

    private Task<TestGateway> StartAsync(Dictionary<string, string> environment, string? address = null)
    {
        environment.TryAdd("HOME", folder.Path);
        return TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $"providers: {{cloud: {{baseUrl: '{address ?? $"http://{AwsHost}:{new Uri(api.Address).Port}"}/v1', auth: aws, maxRetries: 0}}}}\nprices: [{{provider: cloud, model: m, input: 1, output: 1}}]\n",
            Environment = environment,
            Clock = clock,
            Builder = builder => builder.Services.Replace(ServiceDescriptor.Singleton<HostResolver>((_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]))),
        }, TestContext.Current.CancellationToken);
    }

    private static Task<HttpResponseMessage> PostAsync(TestGateway gateway) => gateway.Client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative),
        new { model = "cloud/m", max_tokens = 10, messages = new[] { new { role = "user", content = "Hi" } } }, TestContext.Current.CancellationToken);

    private static async Task<HttpStatusCode> AskAsync(TestGateway gateway)
    {
        using var response = await PostAsync(gateway);
        return response.StatusCode;
    }

    private static async Task AssertNoCredentialAsync(TestGateway gateway, string logged)
    {
        using var response = await PostAsync(gateway);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.BadGateway, text);
        Assert.Contains("\"no_credential\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, text, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
        var lines = gateway.Logs.Lines.Select(line => line.Message).ToList();
        Assert.True(lines.Exists(line => line.Contains(logged, StringComparison.Ordinal)), string.Join('\n', lines));
    }

    private static void AssertNothingLeaked(TestGateway gateway, string also = Session) => Assert.DoesNotContain(gateway.Logs.Lines, line =>
        line.Message.Contains(Secret, StringComparison.Ordinal) || line.Message.Contains(Session, StringComparison.Ordinal) || line.Message.Contains(also, StringComparison.Ordinal));
}
