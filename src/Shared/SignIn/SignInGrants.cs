using System.Buffers.Binary;
using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Shared.Configuration;
using Shared.Storage;
using Shared.Stored;

namespace Shared.SignIn;

/// <summary>A sign-in through the gateway as an authorization server: one person, one client, one resource. Immutable.</summary>
internal sealed record SignInGrant
{
    public required string Id { get; init; }

    public required Identity Identity { get; init; }

    public required string ClientId { get; init; }

    /// <summary>The client's name, for people; the client chose it.</summary>
    public required string ClientName { get; init; }

    /// <summary>The resource that its tokens are for.</summary>
    public required string Resource { get; init; }

    /// <summary>What the provider takes for news of the account; null: it gave nothing.</summary>
    public Secret? ProviderToken { get; init; }

    /// <summary>How often it was renewed: the one refresh token that counts bears this number.</summary>
    public int Generation { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it was made or renewed.</summary>
    public required DateTimeOffset RotatedAt { get; init; }

    /// <summary>When it ends, renewed or not.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>When it ends unless it is renewed.</summary>
    public required DateTimeOffset IdleUntil { get; init; }

    /// <summary>When it ends as things are.</summary>
    public DateTimeOffset Expires => IdleUntil < ExpiresAt ? IdleUntil : ExpiresAt;
}

/// <summary>What a refresh token stands for.</summary>
internal enum RefreshState
{
    /// <summary>Nothing that holds.</summary>
    Unknown,

    /// <summary>The newest one of its sign-in.</summary>
    Current,

    /// <summary>The one before, replaced a moment ago: its client did not get the answer, or asked twice at once.</summary>
    JustReplaced,

    /// <summary>One that was used before: somebody has a copy.</summary>
    Reused,
}

/// <summary>
/// Sign-ins that hold, in memory and in the database; who they are of is sealed there. Tokens are not kept: an access token names its sign-in and its
/// end, a refresh token its sign-in and a number, and both are signed.
/// </summary>
internal sealed class SignInGrants(GatewayDatabase database, SecretVault vault, SignInSecrets secrets, TimeProvider clock, ILogger<SignInGrants> logger)
{
    public const string AccessPrefix = "at-gw-";
    public const string RefreshPrefix = "rt-gw-";

    /// <summary>The most sign-ins of one person; beyond it the one that was used the longest ago ends.</summary>
    public const int MostOfOne = 20;

    /// <summary>The most of all.</summary>
    public const int Most = 50_000;

    /// <summary>So long the refresh token before the newest is answered with the newest.</summary>
    public static readonly TimeSpan ReplacedGrace = TimeSpan.FromSeconds(10);

    private const int IdBytes = 16;
    private const string AccessPurpose = "access token";
    private const string RefreshPurpose = "refresh token";

    private readonly Lock gate = new();
    private readonly SemaphoreSlim[] turns = [.. Enumerable.Range(0, 64).Select(_ => new SemaphoreSlim(1))];
    private volatile ConcurrentDictionary<string, SignInGrant>? loaded;

    private ConcurrentDictionary<string, SignInGrant> All
    {
        get
        {
            if (loaded is { } known)
            {
                return known;
            }
            lock (gate)
            {
                return loaded ??= Load();
            }
        }
    }

    /// <summary>All that hold.</summary>
    public IEnumerable<SignInGrant> Live => All.Values.Where(IsLive);

    /// <summary>Whether a credential has the form of an access token of the gateway's.</summary>
    public bool IsToken(string token) => token.StartsWith(AccessPrefix, StringComparison.Ordinal);

    /// <summary>A sign-in that holds.</summary>
    public SignInGrant? Find(string id) => All.TryGetValue(id, out var grant) && IsLive(grant) ? grant : null;

    /// <summary>The sign-in of an access token, or what is wrong with the token.</summary>
    public SignInGrant? Check(string token, out string problem)
    {
        if (!secrets.TryVerify(AccessPurpose, token.AsSpan(AccessPrefix.Length), out var payload) || payload.Length != IdBytes + sizeof(long))
        {
            problem = "The token was not issued by this gateway, or was cut.";
            return null;
        }
        if (clock.GetUtcNow().ToUnixTimeMilliseconds() >= BinaryPrimitives.ReadInt64BigEndian(payload.AsSpan(IdBytes)))
        {
            problem = "The token has expired.";
            return null;
        }
        problem = "The sign-in has ended.";
        return Find(Base64Url.EncodeToString(payload.AsSpan(0, IdBytes)));
    }

    /// <summary>An access token that ends at a moment.</summary>
    public string AccessToken(SignInGrant grant, DateTimeOffset expires) =>
        AccessPrefix + secrets.Sign(AccessPurpose, [.. Base64Url.DecodeFromChars(grant.Id), .. Number(expires.ToUnixTimeMilliseconds())]);

    /// <summary>The refresh token that counts now.</summary>
    public string RefreshToken(SignInGrant grant) =>
        RefreshPrefix + secrets.Sign(RefreshPurpose, [.. Base64Url.DecodeFromChars(grant.Id), .. Number(grant.Generation)]);

    /// <summary>The id of the sign-in of an access or a refresh token, whether either still holds; null: it is none of the gateway's.</summary>
    public string? IdOf(string token)
    {
        var (purpose, prefix) = token.StartsWith(RefreshPrefix, StringComparison.Ordinal) ? (RefreshPurpose, RefreshPrefix) : (AccessPurpose, AccessPrefix);
        return token.StartsWith(prefix, StringComparison.Ordinal) && secrets.TryVerify(purpose, token.AsSpan(prefix.Length), out var payload) && payload.Length == IdBytes + sizeof(long)
            ? Base64Url.EncodeToString(payload.AsSpan(0, IdBytes)) : null;
    }

    /// <summary>What a refresh token stands for. Of one that was used before, the sign-in ends.</summary>
    public (RefreshState State, SignInGrant? Grant) TakeRefreshToken(string token, string clientId)
    {
        if (!token.StartsWith(RefreshPrefix, StringComparison.Ordinal) || !secrets.TryVerify(RefreshPurpose, token.AsSpan(RefreshPrefix.Length), out var payload) || payload.Length != IdBytes + sizeof(long)
            || Find(Base64Url.EncodeToString(payload.AsSpan(0, IdBytes))) is not { } grant || grant.ClientId != clientId)
        {
            return (RefreshState.Unknown, null);
        }
        var generation = BinaryPrimitives.ReadInt64BigEndian(payload.AsSpan(IdBytes));
        if (generation == grant.Generation)
        {
            return (RefreshState.Current, grant);
        }
        if (generation == grant.Generation - 1 && clock.GetUtcNow() - grant.RotatedAt < ReplacedGrace)
        {
            return (RefreshState.JustReplaced, grant);
        }
        logger.RefreshTokenReused(grant.Id, grant.ClientName);
        Remove(grant.Id);
        return (RefreshState.Reused, null);
    }

    /// <summary>Waits until nobody else renews the sign-in of a token, and keeps others from it until the result is disposed of.</summary>
    public async Task<IDisposable> TakeTurnAsync(string token, CancellationToken cancellationToken)
    {
        var turn = turns[(uint)string.GetHashCode(IdOf(token) ?? "", StringComparison.Ordinal) % (uint)turns.Length];
        await turn.WaitAsync(cancellationToken);
        return new Turn(turn);
    }

    /// <summary>A new id.</summary>
    public static string NewId() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(IdBytes));

    /// <summary>Keeps a new sign-in. False: there are as many as there may be.</summary>
    public bool TryAdd(SignInGrant grant)
    {
        var all = All;
        RemoveDead(all);
        if (all.Count >= Most)
        {
            return false;
        }
        var others = all.Values.Where(other => other.Identity.Issuer == grant.Identity.Issuer && other.Identity.Subject == grant.Identity.Subject).OrderBy(other => other.RotatedAt).ToList();
        foreach (var oldest in others.Take(Math.Max(0, others.Count - MostOfOne + 1)))
        {
            Remove(oldest.Id);
        }
        Write(grant);
        all[grant.Id] = grant;
        return true;
    }

    /// <summary>Replaces a sign-in by its newer self. False: it has ended meanwhile.</summary>
    public bool TryUpdate(SignInGrant grant)
    {
        if (Find(grant.Id) is not { } before || before.Generation >= grant.Generation)
        {
            return false;
        }
        Write(grant);
        if (All.TryUpdate(grant.Id, grant, before))
        {
            return true;
        }
        // It was ended while this was written.
        Delete(grant.Id);
        return false;
    }

    /// <summary>Ends a sign-in: its tokens are refused from now on. False: there was none.</summary>
    public bool Remove(string id)
    {
        var removed = All.TryRemove(id, out _);
        Delete(id);
        return removed;
    }

    private bool IsLive(SignInGrant grant) => clock.GetUtcNow() < grant.Expires;

    private void RemoveDead(ConcurrentDictionary<string, SignInGrant> all)
    {
        foreach (var grant in all.Values)
        {
            if (!IsLive(grant) && all.TryRemove(KeyValuePair.Create(grant.Id, grant)))
            {
                Delete(grant.Id);
            }
        }
    }

    private void Delete(string id) => database.Use(session =>
    {
        using var delete = session.Prepare("DELETE FROM sign_ins WHERE id = ?");
        delete.Add(id).Run();
        return 0;
    });

    private void Write(SignInGrant grant) => database.Use(session =>
    {
        using var upsert = session.Prepare("""
            INSERT INTO sign_ins (id, client_id, content, generation, created_at, rotated_at, expires_at, idle_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET content = excluded.content, generation = excluded.generation, rotated_at = excluded.rotated_at, expires_at = excluded.expires_at, idle_until = excluded.idle_until
            """);
        upsert.Add(grant.Id).Add(grant.ClientId).Add(vault.Seal(NameOf(grant.Id), new Secret(ContentOf(grant)))).Add(grant.Generation)
            .Add(grant.CreatedAt.ToUnixTimeMilliseconds()).Add(grant.RotatedAt.ToUnixTimeMilliseconds()).Add(grant.ExpiresAt.ToUnixTimeMilliseconds()).Add(grant.IdleUntil.ToUnixTimeMilliseconds()).Run();
        return 0;
    });

    private ConcurrentDictionary<string, SignInGrant> Load() => database.Use(session =>
    {
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        using (var delete = session.Prepare("DELETE FROM sign_ins WHERE expires_at <= ?1 OR idle_until <= ?1"))
        {
            delete.Add(now).Run();
        }
        var grants = new ConcurrentDictionary<string, SignInGrant>(StringComparer.Ordinal);
        using var select = session.Prepare("SELECT id, client_id, content, generation, created_at, rotated_at, expires_at, idle_until FROM sign_ins");
        while (select.Read())
        {
            // One that was sealed with another key cannot be opened: its holder signs in anew.
            if (vault.TryOpen(NameOf(select.Text(0)), select.Blob(2), out var content))
            {
                grants[select.Text(0)] = Read(content) with
                {
                    Id = select.Text(0),
                    ClientId = select.Text(1),
                    Generation = (int)select.Int64(3),
                    CreatedAt = Moment(select.Int64(4)),
                    RotatedAt = Moment(select.Int64(5)),
                    ExpiresAt = Moment(select.Int64(6)),
                    IdleUntil = Moment(select.Int64(7)),
                };
            }
        }
        return grants;
    });

    private static string ContentOf(SignInGrant grant)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("issuerName", grant.Identity.IssuerName);
            json.WriteString("issuer", grant.Identity.Issuer);
            json.WriteString("subject", grant.Identity.Subject);
            json.WritePropertyName("claims");
            grant.Identity.Claims.WriteTo(json);
            json.WriteString("scope", string.Join(' ', grant.Identity.Scopes));
            json.WriteString("clientName", grant.ClientName);
            json.WriteString("resource", grant.Resource);
            json.WriteString("providerToken", grant.ProviderToken?.Reveal());
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static SignInGrant Read(Secret content)
    {
        using var document = JsonDocument.Parse(content.Reveal());
        var root = document.RootElement;
        return new SignInGrant
        {
            Id = "",
            ClientId = "",
            Identity = new Identity(
                root.GetProperty("issuerName").GetString()!, root.GetProperty("issuer").GetString()!, root.GetProperty("subject").GetString()!,
                root.GetProperty("claims").Clone(), root.GetProperty("scope").GetString()!.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
            ClientName = root.GetProperty("clientName").GetString()!,
            Resource = root.GetProperty("resource").GetString()!,
            ProviderToken = root.GetProperty("providerToken").GetString() is { } token ? new Secret(token) : null,
            CreatedAt = default,
            RotatedAt = default,
            ExpiresAt = default,
            IdleUntil = default,
        };
    }

    private static string NameOf(string id) => "sign-in:" + id;

    private static DateTimeOffset Moment(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private static byte[] Number(long value)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return bytes;
    }

    private sealed class Turn(SemaphoreSlim turn) : IDisposable
    {
        public void Dispose() => turn.Release();
    }
}
