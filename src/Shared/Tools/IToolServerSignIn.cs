using Shared.Stored;

namespace Shared.Tools;

/// <summary>A link by which a person signs in at a tool server.</summary>
/// <param name="Url">The link: unguessable, works once.</param>
/// <param name="ExpiresAt">Until when it works.</param>
/// <param name="Issuer">The authorization server that it leads to in the end.</param>
/// <param name="Scopes">The scopes that are asked for.</param>
public sealed record SignInLink(string Url, DateTimeOffset ExpiresAt, string Issuer, IReadOnlyList<string> Scopes);

/// <summary>How somebody stands with a tool server. Holds no token.</summary>
/// <param name="Subject"><c>shared</c>, <c>user:id</c> or <c>key:id</c>.</param>
/// <param name="Issuer">The authorization server.</param>
/// <param name="State"><c>signedIn</c>, or <c>mustSignIn</c>: the grant has ended, or is for another address than the server's.</param>
/// <param name="Since">When that subject signed in first.</param>
/// <param name="RenewedAt">When its token was had last.</param>
/// <param name="ExpiresAt">When the token ends, if it is not renewed before; null: not known.</param>
/// <param name="Scopes">The scopes that were asked for or granted.</param>
public sealed record SignInState(string Subject, string Issuer, string State, DateTimeOffset Since, DateTimeOffset RenewedAt, DateTimeOffset? ExpiresAt, IReadOnlyList<string> Scopes);

/// <summary>Why a sign-in did not begin.</summary>
public enum SignInRefusal
{
    /// <summary>The tool server's manifest does not want people to sign in, or it is switched off.</summary>
    NotForPeople,

    /// <summary>The tool server or its authorization server cannot be used as they are.</summary>
    Refused,

    /// <summary>They are in trouble just now.</summary>
    Unavailable,
}

/// <summary>A sign-in did not begin. The message is for admins; it holds no secret.</summary>
public sealed class SignInRefusedException(SignInRefusal reason, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Why.</summary>
    public SignInRefusal Reason { get; } = reason;
}

/// <summary>Signing in at upstream tool servers, as admins see it.</summary>
public interface IToolServerSignIn
{
    /// <summary>Makes a link for somebody; while one is open, the same.</summary>
    /// <param name="id">The tool server.</param>
    /// <param name="subject"><c>shared</c>, <c>user:id</c> or <c>key:id</c>.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="SignInRefusedException">It did not begin.</exception>
    Task<SignInLink> StartAsync(string id, string subject, CancellationToken cancellationToken);

    /// <summary>Who signed in at a server.</summary>
    /// <exception cref="SignInRefusedException">Nobody can.</exception>
    IReadOnlyList<SignInState> ReadStates(string id);

    /// <summary>Forgets what somebody was granted. False: there was nothing.</summary>
    /// <exception cref="SignInRefusedException">Nobody can sign in there.</exception>
    /// <exception cref="Storage.StorageException">The database cannot be written; nothing has changed.</exception>
    bool SignOut(string id, string subject, ChangedBy by);
}
