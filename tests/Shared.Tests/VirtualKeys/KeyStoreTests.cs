using Microsoft.Extensions.Time.Testing;
using Shared.Storage;
using Shared.Stored;
using Shared.Tests.Storage;
using Shared.VirtualKeys;

namespace Shared.Tests.VirtualKeys;

public sealed class KeyStoreTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly FakeTimeProvider clock = new(new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero));
    private GatewayDatabase database;
    private KeyStore keys;
    private AdminKeys admins;

    public KeyStoreTests() => Reopen();

    public void Dispose()
    {
        database.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Create_Key_IsFoundAgainByTheHashOfItsSecret()
    {
        var changes = 0;
        keys.Changed += () => changes++;
        var issued = keys.Create("""{"name":"ann"}""", "admin1");

        Reopen();

        var stored = Assert.Single(keys.ReadAll());
        Span<byte> hash = stackalloc byte[32];
        Assert.True(KeyToken.TryParse(issued.Token, KeyToken.VirtualKeyPrefix, out var id, hash));
        Assert.Equal((id, """{"name":"ann"}""", clock.GetUtcNow(), null), (stored.Id, stored.Declaration, stored.CreatedAt, stored.RevokedAt));
        Assert.Equal(hash.ToArray(), Assert.Single(stored.Secrets).Hash);
        Assert.Equal(1, changes);
    }

    [Fact]
    public void Create_Key_LeavesItsSecretNowhereOnDisk()
    {
        var issued = keys.Create("{}", "admin1");
        var admin = admins.Create("second", false, null, new ChangedBy("admin1"));

        database.Dispose();

        foreach (var file in Directory.GetFiles(folder.Path))
        {
            var bytes = File.ReadAllBytes(file);
            Assert.Equal(-1, bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(issued.Token[17..])));
            Assert.Equal(-1, bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(admin.Token[17..])));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("\"name\"")]
    public void Create_DeclarationIsNoObject_Throws(string declaration)
    {
        Assert.Throws<ArgumentException>(() => keys.Create(declaration, "admin1"));
        Assert.Throws<ArgumentException>(() => admins.CreateFirst(declaration));
        Assert.Empty(keys.ReadAll());
    }

    [Fact]
    public void Revoke_Key_IsRecordedOnceWithItsAuthor()
    {
        var issued = keys.Create("{}", "admin1");
        var changes = 0;
        keys.Changed += () => changes++;
        clock.Advance(TimeSpan.FromHours(1));

        Assert.True(keys.Revoke(issued.Id, new ChangedBy("admin2")));
        Assert.False(keys.Revoke(issued.Id, new ChangedBy("admin3")));
        Assert.False(keys.Revoke("unknown", new ChangedBy("admin3")));

        var key = Assert.Single(keys.ReadAll());
        Assert.Equal((issued.Id, "{}", "admin1", clock.GetUtcNow().AddHours(-1), "admin2", clock.GetUtcNow()), (key.Id, key.Declaration, key.CreatedBy, key.CreatedAt, key.RevokedBy, key.RevokedAt));
        Assert.Equal(1, changes);
    }

    [Fact]
    public void CreateFirst_NoAdminKeyYet_MakesBothKeysOnce()
    {
        var first = admins.CreateFirst("""{"name":"first"}""");

        Assert.NotNull(first);
        Assert.True(admins.TryVerify(first.AdminKey.Token, out var key));
        Assert.Equal(first.AdminKey.Id, key.Id);
        Assert.Equal(first.VirtualKey.Id, Assert.Single(keys.ReadAll()).Id);
        Assert.Null(admins.CreateFirst("{}"));
        Reopen();
        Assert.Null(admins.CreateFirst("{}"));
        Assert.True(admins.TryVerify(first.AdminKey.Token, out _));
        Assert.Single(keys.ReadAll());
    }

    [Fact]
    public void CreateFirst_OnlyAdminKeyWasRevoked_MakesNoOther()
    {
        var first = admins.CreateFirst("{}")!;
        Assert.True(admins.Revoke(first.AdminKey.Id, new ChangedBy("ann")));

        Assert.False(admins.TryVerify(first.AdminKey.Token, out _));
        Assert.Null(admins.CreateFirst("{}"));
        Reopen();
        Assert.False(admins.TryVerify(first.AdminKey.Token, out _));
    }

    [Fact]
    public void TryVerify_AnotherSecretOrKindOfKey_IsRefused()
    {
        var first = admins.CreateFirst("{}")!;
        var other = KeyToken.NewAdminKey();

        Assert.False(admins.TryVerify(other.Token, out _));
        Assert.False(admins.TryVerify(first.VirtualKey.Token, out _));
        Assert.False(admins.TryVerify(WithSecretOf(first.AdminKey.Token, other.Token), out _));
        Assert.False(admins.TryVerify("", out _));
    }

    private static string WithSecretOf(string token, string other)
    {
        // A well-formed token of the first one's id and the other one's secret.
        var forged = KeyToken.WithChecksum(token[..17] + other[17..^6]);
        Assert.True(KeyToken.TryParse(forged, KeyToken.AdminKeyPrefix, out _, new byte[32]));
        return forged;
    }

    [System.Diagnostics.CodeAnalysis.MemberNotNull(nameof(database), nameof(keys), nameof(admins))]
    private void Reopen()
    {
        database?.Dispose();
        database = GatewayDatabase.Open(new StorageOptions { Folder = folder.Path }, clock);
        keys = new KeyStore(database, clock);
        admins = new AdminKeys(database, keys, clock);
    }
}
