using System.Text.Json;

namespace Shared.SignIn;

/// <summary>Somebody whom an issuer vouches for: what its token says. Immutable.</summary>
/// <param name="IssuerName">The name of the issuer in the configuration.</param>
/// <param name="Issuer">The issuer as its tokens name it.</param>
/// <param name="Subject">The issuer's id of the person or service.</param>
/// <param name="Claims">The token's claims.</param>
/// <param name="Scopes">What the token was issued for.</param>
internal sealed record Identity(string IssuerName, string Issuer, string Subject, JsonElement Claims, IReadOnlyCollection<string> Scopes);
