using System.Text;
using System.Text.Json.Nodes;
using Shared.Configuration;
using Shared.Http;
using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary>Makes, changes, rotates and revokes virtual keys so that the very next request sees the change.</summary>
internal sealed class KeyAdministration(KeyStore store, ConfigurationChanges changes, SnapshotLoader loader, RevokedKeys revoked, TimeProvider clock)
{
    private const string InvalidKey = "invalid_key";

    /// <summary>The longest that a replaced secret may go on holding.</summary>
    private static readonly TimeSpan LongestOverlap = TimeSpan.FromDays(90);

    /// <summary>Makes a key from the request's body.</summary>
    /// <returns>The key, and the revision that serves, or would.</returns>
    public async Task<(IssuedKey Key, string Revision)> CreateAsync(HttpContext context)
    {
        var key = KeyToken.NewVirtualKey();
        var source = StoredDocuments.SourceOf(key.Id);
        using var body = await context.BodyAsync();
        var made = new StoredKey { Id = key.Id, Secrets = [new KeySecret(key.SecretHash)], Declaration = Declared(body.Bytes.Span, source) };
        return (key, await changes.MakeAsync(context, source, InvalidKey, stored => stored.With(made)));
    }

    /// <summary>Replaces a key's declaration.</summary>
    /// <returns>The revision that serves, or would.</returns>
    public async Task<string> ReplaceAsync(HttpContext context, string id)
    {
        using var body = await context.BodyAsync();
        var bytes = body.Bytes;
        return await ChangeAsync(context, id, _ => Declared(bytes.Span, StoredDocuments.SourceOf(id)));
    }

    /// <summary>Changes some members of a key's declaration.</summary>
    /// <returns>The revision that serves, or would.</returns>
    public async Task<string> PatchAsync(HttpContext context, string id)
    {
        var source = StoredDocuments.SourceOf(id);
        var patch = await context.ObjectAsync(source, InvalidKey);
        return await ChangeAsync(context, id, present =>
            Declared(Encoding.UTF8.GetBytes(MergePatch.Apply(JsonNode.Parse(present)!.AsObject(), patch).ToJsonString(AdminJson.Compact)), source));
    }

    /// <summary>Gives a key another secret; the old one goes on holding for as long as the body says.</summary>
    /// <returns>The token, until when the old one holds, and the revision that serves, or would.</returns>
    public async Task<(IssuedKey Key, DateTimeOffset OldUntil, string Revision)> RotateAsync(HttpContext context, string id)
    {
        var overlap = await OverlapAsync(context);
        var issued = KeyToken.NewSecret(id);
        var now = clock.GetUtcNow();
        var until = now + overlap;
        var revision = await ChangeAsync(context, id, key =>
        {
            var valid = key.Secrets.Where(secret => !(secret.ValidUntil <= now)).ToList();
            if (overlap > TimeSpan.Zero && valid.Count > 1)
            {
                throw AdminProblem.Conflict("rotation_under_way", $"The key has two secrets already; the older one holds until {valid[1].ValidUntil:u}. Wait for that, or rotate with an overlap of 0s, which ends both.");
            }
            IEnumerable<KeySecret> ending = overlap == TimeSpan.Zero ? [] : valid.Take(1).Select(secret => secret with { ValidUntil = until });
            return key with { Secrets = [new KeySecret(issued.SecretHash), .. ending] };
        });
        return (issued, until, revision);
    }

    /// <summary>Revokes a key. Revoking one twice is fine.</summary>
    /// <returns>The revision that serves, or would.</returns>
    public async Task<string> RevokeAsync(HttpContext context, string id)
    {
        RequireEditable(id);
        var key = loader.Stored.Keys.GetValueOrDefault(id) ?? store.ReadAll().FirstOrDefault(key => key.Id == id) ?? throw AdminProblem.NotFound("key", id);
        context.CheckMatch($"key '{id}'", TagOf(key));
        if (context.IsDryRun())
        {
            var judged = key.RevokedAt is null && loader.Stored.Keys.ContainsKey(id) ? key with { RevokedAt = clock.GetUtcNow() } : key;
            return await changes.MakeAsync(context, StoredDocuments.SourceOf(id), InvalidKey, stored => stored.With(judged));
        }
        // A revocation waits for nobody, not even for files to be mended.
        store.Revoke(id, context.By());
        revoked.Add(id, clock.GetUtcNow());
        await loader.ReloadAsync(CancellationToken.None);
        return context.Snapshot().Revision;
    }

    /// <summary>Reads how long the old secret is to hold: <c>{"overlap":"24h"}</c>; without a body, no longer.</summary>
    public static async Task<TimeSpan> OverlapAsync(HttpContext context)
    {
        using var body = await context.BodyAsync();
        if (body.Bytes.IsEmpty)
        {
            return TimeSpan.Zero;
        }
        var (document, errors) = StoredDocuments.Read("request body", body.Bytes.Span);
        if (document is null)
        {
            throw AdminProblem.Invalid("invalid_rotation", "request body", errors);
        }
        document.KnowsOnly("invalid_rotation", "overlap");
        if (document.TextMember("overlap", "invalid_rotation") is not { } text)
        {
            return TimeSpan.Zero;
        }
        return StoredDocuments.TryDuration(text, out var overlap) && overlap >= TimeSpan.Zero && overlap <= LongestOverlap ? overlap
            : throw AdminProblem.BadBody("invalid_rotation", "overlap", $"'overlap' must be a duration from 0s to {LongestOverlap.TotalDays:0}d, such as 24h, not '{text}'.");
    }

    /// <summary>The entity tag of a key.</summary>
    public static string TagOf(StoredKey key) =>
        AdminRequests.TagOf([key.Declaration, $"{key.RevokedAt?.ToUnixTimeMilliseconds()}", .. key.Secrets.Select(secret => Convert.ToHexString(secret.Hash))]);

    private Task<string> ChangeAsync(HttpContext context, string id, Func<string, string> edit) =>
        ChangeAsync(context, id, key => key with { Declaration = edit(key.Declaration) });

    private async Task<string> ChangeAsync(HttpContext context, string id, Func<StoredKey, StoredKey> edit)
    {
        RequireEditable(id);
        return await changes.MakeAsync(context, StoredDocuments.SourceOf(id), InvalidKey, stored =>
        {
            var key = stored.Keys.GetValueOrDefault(id) ?? throw AdminProblem.NotFound("key", id);
            context.CheckMatch($"key '{id}'", TagOf(key));
            return key.RevokedAt is null ? stored.With(edit(key)) : throw AdminProblem.Conflict("key_revoked", $"The key was revoked at {key.RevokedAt:u}, for good; make another one.");
        });
    }

    private void RequireEditable(string id)
    {
        if (loader.DeclaredKeys.GetValueOrDefault(id) is { } declared)
        {
            throw AdminProblem.DeclaredInFile($"The key '{id}'", EntityEndpoints.FileOf(declared.Origin));
        }
    }

    private static string Declared(ReadOnlySpan<byte> utf8, string source)
    {
        var (declaration, errors) = KeyDeclarationJson.Parse(utf8, source);
        if (declaration is null || errors.Count > 0)
        {
            throw AdminProblem.Invalid(InvalidKey, source, errors);
        }
        return string.IsNullOrWhiteSpace(declaration.Name)
            ? throw AdminProblem.BadBody(InvalidKey, "name", "'name' is missing: what people call the key.")
            : KeyDeclarationJson.Write(declaration);
    }
}
