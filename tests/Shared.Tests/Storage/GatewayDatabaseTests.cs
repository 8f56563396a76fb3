using Microsoft.Extensions.Time.Testing;
using Shared.Storage;

namespace Shared.Tests.Storage;

public sealed class GatewayDatabaseTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly FakeTimeProvider clock = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Open_FolderDoesNotExist_MakesItForItsOwnerAlone()
    {
        var path = folder.File("a/b");

        using var database = Open(path);

        Assert.True(File.Exists(Path.Combine(path, "gateway.db")));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
        }
    }

    [Fact]
    public void Open_AlreadyOpen_IsRefusedNamingTheFolder()
    {
        using (Open())
        {
            var error = Assert.Throws<StorageException>(() => Open());
            Assert.Contains(folder.Path, error.Message, StringComparison.Ordinal);
            Assert.Contains("another gateway process", error.Message, StringComparison.Ordinal);
        }
        Open().Dispose();
    }

    [Fact]
    public void Open_OlderSchema_AppliesTheMissingStepsAndKeepsTheData()
    {
        using (var old = GatewayDatabase.Open(Options(), clock, [.. Migrations.All, "CREATE TABLE one (x); INSERT INTO one VALUES (7)"]))
        {
            Assert.Equal(Migrations.All.Length + 1, VersionOf(old));
        }

        using var database = GatewayDatabase.Open(Options(), clock,
            [.. Migrations.All, "no such statement, as it must not run again", "ALTER TABLE one RENAME TO two", "UPDATE two SET x = x + 1"]);

        Assert.Equal(Migrations.All.Length + 3, VersionOf(database));
        Assert.Equal(8, Number(database, "SELECT x FROM two"));
    }

    [Fact]
    public void Open_AStepFails_LeavesTheDatabaseAsItWasBeforeIt()
    {
        Assert.Throws<StorageException>(() => GatewayDatabase.Open(Options(), clock, [.. Migrations.All, "CREATE TABLE half (x); CREATE TABLE half (x)"]));

        using var database = Open();
        Assert.Equal(Migrations.All.Length, VersionOf(database));
        Assert.Equal(0, Number(database, "SELECT count(*) FROM sqlite_master WHERE name = 'half'"));
    }

    [Fact]
    public void Open_NewerSchema_IsRefusedAndUnchanged()
    {
        GatewayDatabase.Open(Options(), clock, [.. Migrations.All, "CREATE TABLE later (x)"]).Dispose();

        var error = Assert.Throws<StorageException>(() => Open());

        Assert.Contains("newer version", error.Message, StringComparison.Ordinal);
        GatewayDatabase.Open(Options(), clock, [.. Migrations.All, "CREATE TABLE later (x)"]).Dispose();
    }

    [Fact]
    public void Open_FileIsNoDatabase_SaysSoAndReleasesTheFolder()
    {
        File.WriteAllText(folder.File("gateway.db"), new string('x', 5_000));

        Assert.Contains("gateway.db", Assert.Throws<StorageException>(() => Open()).Message, StringComparison.Ordinal);

        File.Delete(folder.File("gateway.db"));
        Open().Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(8)]
    public void Open_QueueSizeIsNoPowerOfTwoInRange_Throws(int size) =>
        Assert.Throws<ArgumentException>(() => GatewayDatabase.Open(Options() with { QueueSize = size }, clock));

    [Fact]
    public void Open_Database_IsDurableOnEachCommit()
    {
        using var database = Open();

        Assert.Equal(2, Number(database, "PRAGMA synchronous"));
        Assert.True(File.Exists(folder.File("gateway.db-wal")));
    }

    private GatewayDatabase Open(string? path = null) => GatewayDatabase.Open(Options() with { Folder = path ?? folder.Path }, clock);

    private StorageOptions Options() => new() { Folder = folder.Path };

    private static long VersionOf(GatewayDatabase database) => Number(database, "SELECT max(version) FROM schema_version");

    private static long Number(GatewayDatabase database, string sql) => database.Use(session =>
    {
        using var statement = session.Prepare(sql);
        Assert.True(statement.Read());
        return statement.Int64(0);
    });
}
