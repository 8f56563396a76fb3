using Microsoft.Extensions.Time.Testing;
using Shared.Configuration;
using Shared.Storage;
using Shared.Stored;
using Shared.Tests.Storage;
using Shared.VirtualKeys;

namespace Shared.Tests.Stored;

public sealed class ConfigurationStoreTests : IDisposable
{
    private static readonly EntityName Acme = new(EntityKind.Provider, "acme");
    private static readonly ChangedBy Ann = new("admin:ann", "req-1");

    private readonly TempFolder folder = new();
    private readonly FakeTimeProvider clock = new(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));
    private readonly Dictionary<string, string> environment = [];
    private GatewayDatabase database;
    private ConfigurationStore store;

    public ConfigurationStoreTests() => Reopen();

    public void Dispose()
    {
        database.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Commit_Entity_IsReadBackWithItsAuthors()
    {
        Change(stored => stored.With(Acme, """{"baseUrl":"https://one.example"}"""), Ann);
        clock.Advance(TimeSpan.FromMinutes(5));
        Change(stored => stored.With(Acme, """{"baseUrl":"https://two.example"}"""), new ChangedBy("admin:bob"));

        Reopen();

        var entity = Assert.Single(store.Read().Entities).Value;
        Assert.Equal((Acme, """{"baseUrl":"https://two.example"}"""), (entity.Name, entity.Declaration));
        Assert.Equal(("admin:ann", clock.GetUtcNow().AddMinutes(-5)), (entity.CreatedBy, entity.CreatedAt));
        Assert.Equal(("admin:bob", clock.GetUtcNow()), (entity.ChangedBy, entity.ChangedAt));
    }

    [Fact]
    public void Commit_Changes_AreAuditedWithTheirRevision()
    {
        Change(stored => stored.With(Acme, "{}").WithSecret("acme", new Secret("s3cret-value")), Ann, "rev-1");
        Change(stored => stored.Without(Acme), Ann, "rev-2");

        var records = new AuditLog(database, clock).Read(new AuditRequest());

        Assert.Equal(
            [("deleted", "provider", "acme", "rev-2"), ("created", "secret", "acme", "rev-1"), ("created", "provider", "acme", "rev-1")],
            records.Select(record => (record.Change.Action, record.Change.Kind, record.Change.Id, record.Revision)));
        Assert.All(records, record => Assert.Equal(Ann, record.By));
        Assert.DoesNotContain(records, record => $"{record.Change.Before}{record.Change.After}".Contains("s3cret", StringComparison.Ordinal));
        Assert.Equal("deleted", Assert.Single(new AuditLog(database, clock).Read(new AuditRequest { Kind = "provider", Limit = 1 })).Change.Action);
        Assert.Equal(2, new AuditLog(database, clock).Read(new AuditRequest { Before = records[0].Sequence }).Count);
    }

    [Fact]
    public void Commit_RotatedKey_OpensWithBothSecretsInTheirOrder()
    {
        var first = KeyToken.NewVirtualKey();
        var second = KeyToken.NewVirtualKey();
        var until = clock.GetUtcNow().AddHours(1);
        Change(stored => stored.With(new StoredKey { Id = first.Id, Secrets = [new KeySecret(first.SecretHash)], Declaration = "{}" }), Ann);
        Change(stored => stored.With(stored.Keys[first.Id] with { Secrets = [new KeySecret(second.SecretHash), new KeySecret(first.SecretHash, until)] }), Ann);

        Reopen();

        var key = store.Read().Keys[first.Id];
        Assert.Equal([second.SecretHash, first.SecretHash], key.Secrets.Select(secret => secret.Hash));
        Assert.Equal([null, until], key.Secrets.Select(secret => secret.ValidUntil));
        Assert.Equal("rotated", new AuditLog(database, clock).Read(new AuditRequest { Limit = 1 })[0].Change.Action);
    }

    [Fact]
    public void Commit_Secret_IsSealedOnDiskAndOpensAfterARestart()
    {
        Change(stored => stored.WithSecret("vendor", new Secret("s3cret-value")), Ann);
        Reopen();

        Assert.Equal("s3cret-value", store.Read().Secrets["vendor"].Value?.Reveal());
        database.Dispose();
        foreach (var file in Directory.GetFiles(folder.Path))
        {
            Assert.Equal(-1, File.ReadAllBytes(file).AsSpan().IndexOf("s3cret-value"u8));
        }
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder.Path, SecretVault.KeyFile)));
        }
    }

    [Fact]
    public void Read_SecretSealedWithAnotherKey_HasNoValueAndDoesNotThrow()
    {
        environment[SecretVault.KeyVariable] = Convert.ToBase64String(new byte[32]);
        Reopen();
        Change(stored => stored.WithSecret("vendor", new Secret("s3cret-value")), Ann);

        environment[SecretVault.KeyVariable] = Convert.ToBase64String([.. Enumerable.Repeat((byte)7, 32)]);
        Reopen();

        Assert.Null(store.Read().Secrets["vendor"].Value);
        Assert.False(File.Exists(Path.Combine(folder.Path, SecretVault.KeyFile)));
    }

    [Fact]
    public void TryOpen_UnderAnotherName_IsRefused()
    {
        var vault = new SecretVault(folder.Path, environment.GetValueOrDefault);
        var text = vault.Seal("cheap", new Secret("s3cret-value"));

        Assert.True(vault.TryOpen("cheap", text, out var secret));
        Assert.Equal("s3cret-value", secret.Reveal());
        Assert.False(vault.TryOpen("dear", text, out _));
        text[^1] ^= 1;
        Assert.False(vault.TryOpen("cheap", text, out _));
        Assert.False(vault.TryOpen("cheap", [], out _));
    }

    [Fact]
    public void Seal_KeyIsNoKey_NamesWhereItIs()
    {
        environment[SecretVault.KeyVariable] = "too-short";
        var error = Assert.Throws<StorageException>(() => new SecretVault(folder.Path, environment.GetValueOrDefault).Seal("a", new Secret("b")));
        Assert.Contains(SecretVault.KeyVariable, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("too-short", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Commit_Fails_LeavesNothing()
    {
        Change(stored => stored.With(Acme, "{}"), Ann);
        var before = store.Read();
        var after = before.Without(Acme) with { Secrets = before.Secrets.Add("broken", new StoredSecret(null, "", default)) };

        Assert.Throws<InvalidOperationException>(() => store.Commit(before, after, Ann, new PublishedRevision("rev", "[]")));

        Assert.Equal(Acme, Assert.Single(store.Read().Entities).Key);
        Assert.Single(new AuditLog(database, clock).Read(new AuditRequest()));
    }

    [Fact]
    public void Revisions_AreFoundAgainWhole_AlsoAfterManyDifferences()
    {
        var log = new RevisionLog(database);
        var texts = Enumerable.Range(0, 250).Select(i => string.Join('\n', Enumerable.Range(0, 20 + (i % 7)).Select(n => $"[\"line\",\"{n:D2}\",{(i * 31) % (n + 2)}]").Order(StringComparer.Ordinal))).ToList();
        for (var i = 0; i < texts.Count; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(1));
            store.Record(new PublishedRevision($"rev-{i}", texts[i]), Ann);
        }
        store.Record(new PublishedRevision("rev-249", texts[^1]), Ann);

        Assert.Equal(texts, Enumerable.Range(0, texts.Count).Select(i => log.Find($"rev-{i}")));
        Assert.Null(log.Find("unknown"));
        Assert.Equal(texts.Count, log.List(null, 1000).Count);
        Assert.Equal(["rev-249", "rev-248"], log.List(null, 2).Select(entry => entry.Revision));
        Assert.Equal("rev-247", log.List(log.List(null, 2)[1].Sequence, 1)[0].Revision);

        var deleted = log.DeleteBefore(clock.GetUtcNow().AddMinutes(-100));
        Assert.InRange(deleted, 1, 149);
        Assert.Equal(texts[^1], log.Find("rev-249"));
        Assert.Equal(texts[150], log.Find("rev-150"));
    }

    [Fact]
    public void Open_DatabaseOfTheFirstSchema_KeepsItsKeys()
    {
        var path = Path.Combine(folder.Path, "old");
        var key = KeyToken.NewVirtualKey();
        var admin = KeyToken.NewAdminKey();
        using (var old = GatewayDatabase.Open(new StorageOptions { Folder = path }, clock, Migrations.All[..1]))
        {
            old.Use(session =>
            {
                using var insert = session.Prepare("INSERT INTO virtual_keys (id, secret_hashes, declaration, created_by, created_at) VALUES (?, ?, '{}', 'first-start', 1000)");
                insert.Add(key.Id).Add(key.SecretHash).Run();
                using var second = session.Prepare("INSERT INTO admin_keys (id, secret_hash, created_by, created_at) VALUES (?, ?, 'first-start', 1000)");
                second.Add(admin.Id).Add(admin.SecretHash).Run();
                return 0;
            });
        }

        using var opened = GatewayDatabase.Open(new StorageOptions { Folder = path }, clock);
        var keys = new KeyStore(opened, clock);

        Assert.Equal(key.SecretHash, Assert.Single(Assert.Single(keys.ReadAll()).Secrets).Hash);
        Assert.True(new AdminKeys(opened, keys, clock).TryVerify(admin.Token, out var found));
        Assert.Equal((admin.Id, false), (found.Id, found.ReadOnly));
    }

    private void Change(Func<StoredConfiguration, StoredConfiguration> edit, ChangedBy by, string revision = "rev")
    {
        var before = store.Read();
        store.Commit(before, edit(before), by, new PublishedRevision(revision, "[]"));
    }

    [System.Diagnostics.CodeAnalysis.MemberNotNull(nameof(database), nameof(store))]
    private void Reopen()
    {
        database?.Dispose();
        database = GatewayDatabase.Open(new StorageOptions { Folder = folder.Path }, clock);
        store = new ConfigurationStore(database, new KeyStore(database, clock), new SecretVault(folder.Path, environment.GetValueOrDefault), clock);
    }
}
