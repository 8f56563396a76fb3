using Shared.Snapshots;

namespace Shared.Tests.Snapshots;

/// <summary>How providers get their credential: what is declared, what the environment says, and what is refused.</summary>
public sealed class ProviderAuthTests : IDisposable
{
    private readonly ConfigFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("credentials: {json: x}", "they belong to 'auth: google', 'azure' or 'aws'")]
    [InlineData("auth: google, credentials: {json: x}", "expected the text of a Google credentials file")]
    [InlineData("auth: google, credentials: {clientSecret: x}", "belongs to 'auth: azure', but this provider has 'auth: google'")]
    [InlineData("auth: azure, credentials: {clientSecret: x}", "is required beside 'clientSecret'")]
    [InlineData("auth: aws, credentials: {accessKeyId: x}", "is required: an access key has an id and a secret")]
    [InlineData("auth: azure, apiKey: k, credentials: {clientId: x}", "'apiKey' is sent as it is")]
    [InlineData("auth: host", "the name of a header that carries the key")]
    [InlineData("auth: 'a b'", "the name of a header that carries the key")]
    [InlineData("apiVersion: '2024-10-21'", "no dated versions of this provider are known")]
    [InlineData("passthrough: opnai", "unknown root 'opnai'; did you mean 'openai'?")]
    public void Load_WrongMembers_AreErrorsThatSayWhatToWrite(string members, string message)
    {
        var errors = folder.Gateway($"providers:\n  own: {{baseUrl: \"http://127.0.0.1:9/v1\", {members}}}\n").Errors();

        Assert.Contains(errors, error => error.Contains(message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("azure: {resource: 'evil.example/#'}", "'evil.example/#' cannot stand in an address")]
    [InlineData("bedrock: {region: 'x.evil.example/'}", "cannot stand in an address")]
    [InlineData("vertex: {project: 'a/b', location: global}", "cannot stand in an address")]
    public void Load_PartOfAnAddressThatIsNone_IsAnError(string provider, string message) =>
        Assert.Contains(folder.Gateway($"providers:\n  {provider}\n").Errors(), error => error.Contains(message, StringComparison.Ordinal));

    [Fact]
    public void Load_OneRootForTwo_IsAnErrorThatNamesTheOther()
    {
        var errors = folder.Gateway("providers:\n  a: {baseUrl: \"http://127.0.0.1:9/v1\", passthrough: openai}\n  b: {baseUrl: \"http://127.0.0.1:9/v1\", passthrough: openai}\n").Errors();

        Assert.Contains("already stands for the provider 'a'", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("azure: {resource: theirs}")]
    [InlineData("azure: {auth: azure}")]
    [InlineData("azure: {paths: {chat: \"https://elsewhere.example/chat\"}}")]
    [InlineData("azure: {baseUrl: \"https://elsewhere.example/v1\"}")]
    public void Load_UsualKey_IsNotSentWhereItWasNotMadeFor(string provider)
    {
        folder.Environment["AZURE_OPENAI_API_KEY"] = "usual";
        folder.Environment["AZURE_OPENAI_RESOURCE"] = "ours";

        Assert.Null(folder.Gateway($"providers:\n  {provider}\n").Load().Providers["azure"].ApiKey);
    }

    [Fact]
    public void Load_AzureAddressWithoutAKey_UsesTheAccountOfTheMachine()
    {
        folder.Environment["AZURE_OPENAI_ENDPOINT"] = "https://ours.openai.azure.com/";

        var provider = folder.Gateway("").Load().Providers["azure"];

        Assert.Equal(ProviderAuth.Azure, provider.Auth!.Scheme);
        Assert.Equal("https://ours.openai.azure.com/openai/v1/chat/completions", provider.EndpointAddresses["chat"].For("m", stream: false).AbsoluteUri);
    }

    [Fact]
    public void Load_DatedAzure_CallsDeployments()
    {
        var provider = folder.Gateway("providers:\n  azure: {resource: ours, apiVersion: \"2024-10-21\", apiKey: k}\n").Load().Providers["azure"];

        Assert.Equal("https://ours.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21", provider.EndpointAddresses["chat"].For("my gpt", stream: false).AbsoluteUri);
        Assert.Equal("api-key", provider.Auth!.Scheme);
    }

    [Fact]
    public void Load_AwsKeysOfTheEnvironment_AreKeptApartFromWhatIsShown()
    {
        folder.Environment["AWS_ACCESS_KEY_ID"] = "AKIA1";
        folder.Environment["AWS_SECRET_ACCESS_KEY"] = "very-secret";
        folder.Environment["AWS_REGION"] = "eu-central-1";

        var provider = folder.Gateway("").Load().Providers["bedrock"];

        Assert.Equal(("AKIA1", "very-secret"), (provider.Credentials!.AccessKeyId, provider.Credentials.SecretAccessKey!.Reveal()));
        Assert.DoesNotContain("very-secret", $"{provider} {provider.Credentials}", StringComparison.Ordinal);
    }

    [Fact]
    public void Load_AnotherFormatOfAKnownProvider_KeepsItsEndpoints()
    {
        var provider = folder.Gateway("providers:\n  openai: {dialect: openai-responses}\n").Load().Providers["openai"];

        Assert.Equal("openai-responses", provider.Dialect);
        Assert.True(provider.HasEndpoint("chat") && provider.HasEndpoint("responses"));
    }

    [Fact]
    public void Load_GeminisCompatibleEndpoint_WantsItsKeyAsBearer()
    {
        folder.Environment["GEMINI_API_KEY"] = "k";

        var provider = folder.Gateway("").Load().Providers["gemini"];

        Assert.Equal("x-goog-api-key", provider.Auth!.Scheme);
        Assert.Null(provider.EndpointAddresses["generate"].Auth);
        Assert.Equal(ProviderAuth.Bearer, provider.EndpointAddresses["chat"].Auth);
    }
}
