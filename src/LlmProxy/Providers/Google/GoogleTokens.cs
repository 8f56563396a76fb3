using System.Runtime.CompilerServices;
using Google.Apis.Auth.OAuth2;
using Google.Apis.Auth.OAuth2.Responses;
using Google.Apis.Http;
using Shared.Snapshots;

namespace LlmProxy.Providers.Google;

/// <summary>
/// Access tokens of Google's: for the account of the credentials that were given, else as Application Default Credentials say: the file that
/// <c>GOOGLE_APPLICATION_CREDENTIALS</c> names, the one that <c>gcloud</c> keeps, the machine's service account. Google's own search for them is not used, as it connects past
/// the egress policy.
/// </summary>
internal sealed class GoogleTokens(ProviderCredentials credentials, Func<string, string?> variable, Func<HttpMessageHandler> newHandler, TimeProvider clock)
{
    private const string UsualScope = "https://www.googleapis.com/auth/cloud-platform";

    /// <summary>What a token service may call its refusal (RFC 6749, section 5.2; RFC 8693, section 2.2.2); anything else might repeat what it was sent.</summary>
    private static readonly string[] Codes = ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_target", "access_denied"];

    private readonly Lock gate = new();
    private object? credential;

    // Each method that names a type of the library stands alone: the library is loaded when it runs.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public async Task<IssuedToken> AcquireAsync(CancellationToken cancellationToken)
    {
        var google = Credential();
        var asked = clock.GetUtcNow();
        try
        {
            // A new one: which token is kept, and for how long, is not the library's to say.
            TokenResponse? response = null;
            switch (google.UnderlyingCredential)
            {
                case ServiceCredential service when await service.RequestAccessTokenAsync(cancellationToken):
                    response = service.Token;
                    break;
                case UserCredential user when await user.RefreshTokenAsync(cancellationToken):
                    response = user.Token;
                    break;
            }
            return response?.AccessToken is { } token
                ? new IssuedToken(token, asked.AddSeconds(response.ExpiresInSeconds ?? 0))
                : throw new CredentialException("Google's token service answered without a token.");
        }
        catch (TokenResponseException exception) when (exception.Error?.Error is { } code && Codes.Contains(code))
        {
            throw new CredentialException($"Google's token service refused: {code}.");
        }
    }

    private GoogleCredential Credential()
    {
        lock (gate)
        {
            return (GoogleCredential)(credential ??= NewCredential());
        }
    }

    private GoogleCredential NewCredential()
    {
        var factory = new HandlerFactory(newHandler);
        var google = Find(factory).CreateWithHttpClientFactory(factory);
        return google.IsCreateScopedRequired || credentials.Scope is not null ? google.CreateScoped(credentials.Scope ?? UsualScope) : google;
    }

    private GoogleCredential Find(HandlerFactory factory)
    {
        if (credentials.Json is { } json)
        {
            return Parse(json.Reveal());
        }
        if (variable("GOOGLE_APPLICATION_CREDENTIALS") is { Length: > 0 } file)
        {
            return Parse(Read(file, "that GOOGLE_APPLICATION_CREDENTIALS names"));
        }
        var folder = variable("CLOUDSDK_CONFIG") is { Length: > 0 } configured ? configured
            : OperatingSystem.IsWindows() ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "gcloud")
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config", "gcloud");
        var known = Path.Combine(folder, "application_default_credentials.json");
        return File.Exists(known) ? Parse(Read(known, "of gcloud")) : GoogleCredential.FromComputeCredential(new ComputeCredential(new ComputeCredential.Initializer { HttpClientFactory = factory }));
    }

    private static string Read(string file, string which)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CredentialException($"The credentials file {which} cannot be read.");
        }
    }

    private static GoogleCredential Parse(string json)
    {
        try
        {
            using var document = System.Text.Json.JsonDocument.Parse(json);
            var type = document.RootElement.GetProperty("type").GetString();
            return CredentialFactory.FromJson(json, type);
        }
        catch (Exception exception) when (exception is InvalidOperationException or KeyNotFoundException or System.Text.Json.JsonException or Newtonsoft.Json.JsonException or FormatException or ArgumentException)
        {
            throw new CredentialException("The Google credentials are no credentials file: expected the JSON text of a service account, an authorized user or an external account.");
        }
    }

    /// <summary>Lets the library connect as the egress policy says.</summary>
    private sealed class HandlerFactory(Func<HttpMessageHandler> newHandler) : HttpClientFactory
    {
        protected override HttpMessageHandler CreateHandler(CreateHttpClientArgs args) => newHandler();
    }
}
