using System.Text.Json.Serialization;
using Shared.SignIn;

namespace Gateway.SignIn;

/// <summary>What a client asked for at <c>/oauth/authorize</c>, checked.</summary>
/// <param name="ClientId">Which client.</param>
/// <param name="ClientName">Its name, for people.</param>
/// <param name="Redirect">Where the person is sent back to.</param>
/// <param name="State">What the client wants back; null: nothing.</param>
/// <param name="Challenge">SHA-256 of what the client must show for the code (RFC 7636).</param>
/// <param name="Resource">What its tokens are for.</param>
/// <param name="Scopes">What they are to allow.</param>
internal sealed record SignInRequest(string ClientId, string ClientName, string Redirect, string? State, string Challenge, string Resource, IReadOnlyList<string> Scopes)
{
    /// <summary>The address that takes the person back with an answer, which names the gateway (RFC 9207).</summary>
    public string Answer(string issuer, params (string Name, string Value)[] answer)
    {
        var text = string.Join('&', answer.Append(("state", State ?? "")).Append(("iss", issuer)).Where(part => part.Item2.Length > 0)
            .Select(part => $"{part.Item1}={Uri.EscapeDataString(part.Item2)}"));
        return Redirect + (Redirect.Contains('?', StringComparison.Ordinal) ? "&" : "?") + text;
    }

    /// <summary>The address that takes the person back with a refusal.</summary>
    public string Refuse(string issuer, OAuthError error) => Answer(issuer, ("error", error.Code), ("error_description", error.Description));
}

/// <summary>A request while its person decides, bound to one browser and a time.</summary>
internal sealed record OpenRequest(SignInRequest Request, string Browser, long Until);

/// <summary>A sign-in at the provider that was begun.</summary>
/// <param name="Request">For what.</param>
/// <param name="Browser">Hash of the cookie of the browser that began it.</param>
/// <param name="Verifier">What the gateway shows the provider for the code.</param>
/// <param name="Nonce">What the provider's token must hold.</param>
internal sealed record PendingSignIn(SignInRequest Request, string Browser, string Verifier, string Nonce);

/// <summary>A code that was given to a client.</summary>
/// <param name="Request">For what.</param>
/// <param name="Identity">Who signed in.</param>
/// <param name="ProviderToken">What the provider takes for news of the account.</param>
internal sealed record IssuedCode(SignInRequest Request, Identity Identity, string? ProviderToken)
{
    /// <summary>The sign-in that it was exchanged for; null: it was not yet.</summary>
    public string? GrantId { get; init; }

    /// <summary>Whether it was shown a second time.</summary>
    public bool WasReplayed { get; init; }
}

[JsonSerializable(typeof(OpenRequest))]
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class SignInJson : JsonSerializerContext;
