using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Shared.Configuration;
using Shared.Ledger;
using Shared.Storage;
using Shared.Stored;
using Shared.Tests.Ledger;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Storage;

public sealed class BackupTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly LedgerHarness gateway;

    public BackupTests()
    {
        gateway = new LedgerHarness(Path.Combine(folder.Path, "data"));
        gateway.Begin(10).Settle(Used(7));
        gateway.Begin(20);
    }

    private string Archive => Path.Combine(folder.Path, "one.backup");

    private string Target => Path.Combine(folder.Path, "restored");

    public void Dispose()
    {
        gateway.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task Restored_HasEverythingRecordedBefore()
    {
        new SecretVault(gateway.Database.Folder, _ => null).Seal("a", new Secret("text"));
        await BackUpAsync();
        gateway.Begin(1).Settle(Used(1));

        var result = Restore.Run(Archive, Target, force: false, gateway.Clock);

        Assert.Equal((2, false, null), (result.Attempts, result.HasSecretsKey, result.Replaced));
        Assert.False(File.Exists(Path.Combine(Target, SecretVault.KeyFile)));
        using var restored = new LedgerHarness(Target, now: gateway.Clock.GetUtcNow());
        var row = Assert.Single((await restored.Usage.RunAsync(new UsageRequest(), TestContext.Current.CancellationToken)).Rows);
        Assert.Equal((2, 7, 1, 20), (row.Calls, row.Cost.Nano, row.UnsettledCalls, row.Reserved.Nano));
        Assert.Equal(27, restored.History.Read(Shared.VirtualKeys.OwnerKind.Key, "k1", DateTimeOffset.UnixEpoch).Sum(spend => spend.Cost.Nano));
        restored.Begin(1).Settle(Used(1));
        restored.Ledger.Flush();
        Assert.Equal(3, restored.Count());
        Assert.Equal(["data", "one.backup", "restored"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(Directory.EnumerateFiles(gateway.Database.Folder), file => file.Contains("backup-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SecretsKey_IsPackedOnlyWhenAskedFor()
    {
        var vault = new SecretVault(gateway.Database.Folder, _ => null);
        var seal = vault.Seal("a", new Secret("text"));
        await BackUpAsync(includeKey: true);

        Assert.True(Restore.Run(Archive, Target, force: false, gateway.Clock).HasSecretsKey);

        Assert.True(new SecretVault(Target, _ => null).TryOpen("a", seal, out var opened));
        Assert.Equal("text", opened.Reveal());
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Target, SecretVault.KeyFile)));
        }
    }

    [Fact]
    public async Task SecondBackup_WaitsForTheFirst()
    {
        var backup = new Backup(gateway.Database, gateway.Ledger, gateway.Options, gateway.Clock);
        using (await backup.CopyAsync(false, TestContext.Current.CancellationToken))
        {
            await Assert.ThrowsAsync<BackupRunningException>(() => backup.CopyAsync(false, TestContext.Current.CancellationToken));
        }
        (await backup.CopyAsync(false, TestContext.Current.CancellationToken)).Dispose();
    }

    [Fact]
    public async Task FolderThatIsNotEmpty_WantsForce_AndKeepsWhatWasThere()
    {
        await BackUpAsync();
        Directory.CreateDirectory(Target);
        await File.WriteAllTextAsync(Path.Combine(Target, "ledger.journal"), "old", TestContext.Current.CancellationToken);

        Assert.Contains("--force", Assert.Throws<StorageException>(() => Restore.Run(Archive, Target, force: false, gateway.Clock)).Message, StringComparison.Ordinal);
        Assert.Equal("old", await File.ReadAllTextAsync(Path.Combine(Target, "ledger.journal"), TestContext.Current.CancellationToken));
        var result = Restore.Run(Archive, Target, force: true, gateway.Clock);

        Assert.Equal("old", await File.ReadAllTextAsync(Path.Combine(result.Replaced!, "ledger.journal"), TestContext.Current.CancellationToken));
        using var restored = new LedgerHarness(Target);
        Assert.Equal(2, restored.Count());
    }

    [Fact]
    public async Task FolderOfARunningGateway_IsRefused()
    {
        await BackUpAsync();
        Assert.Contains("in use", Assert.Throws<StorageException>(() => Restore.Run(Archive, gateway.Database.Folder, force: true, gateway.Clock)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    public async Task ArchiveCutShort_IsRefusedAndLeavesNothing(double part)
    {
        await BackUpAsync();
        var bytes = await File.ReadAllBytesAsync(Archive, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(Archive, bytes[..(int)(bytes.Length * part)], TestContext.Current.CancellationToken);

        Assert.Throws<StorageException>(() => Restore.Run(Archive, Target, force: false, gateway.Clock));
        Assert.Throws<StorageException>(() => Restore.Check(Archive));
        Assert.False(Directory.Exists(Target));
    }

    [Theory]
    [InlineData("../evil", "gateway.db")]
    [InlineData("/tmp/evil", "/tmp/evil")]
    [InlineData("gateway.db", "../gateway.db")]
    [InlineData("gateway.lock", "gateway.lock")]
    public void NamesThatABackupDoesNotHave_AreRefused(string declared, string entry)
    {
        var content = Encoding.ASCII.GetBytes("x");
        Write(("manifest.json", Encoding.UTF8.GetBytes($$"""
            {"format":1,"schema":1,"createdAt":"now","files":[{"name":"{{declared}}","bytes":1,"sha256":"{{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content))}}"}]}
            """)), (entry, content));

        Assert.Throws<StorageException>(() => Restore.Run(Archive, Target, force: false, gateway.Clock));
        Assert.False(Directory.Exists(Target));
        Assert.False(File.Exists(Path.Combine(folder.Path, "evil")));
    }

    [Fact]
    public void DatabaseThatIsNone_OrAChecksumThatIsWrong_IsRefused()
    {
        var content = Encoding.ASCII.GetBytes("this is no database, whatever its name says");
        foreach (var hash in new[] { Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content)), new string('0', 64) })
        {
            Write(("manifest.json", Encoding.UTF8.GetBytes($$"""{"format":1,"schema":1,"createdAt":"now","files":[{"name":"gateway.db","bytes":{{content.Length}},"sha256":"{{hash}}"}]}""")), ("gateway.db", content));
            Assert.Throws<StorageException>(() => Restore.Run(Archive, Target, force: false, gateway.Clock));
            Assert.False(Directory.Exists(Target));
        }
        File.WriteAllText(Archive, "no archive at all");
        Assert.Throws<StorageException>(() => Restore.Run(Archive, Target, force: false, new FakeTimeProvider()));
        Assert.Throws<StorageException>(() => Restore.Run(Path.Combine(folder.Path, "nowhere"), Target, force: false, new FakeTimeProvider()));
    }

    private async Task BackUpAsync(bool includeKey = false)
    {
        using var copy = await new Backup(gateway.Database, gateway.Ledger, gateway.Options with { Environment = _ => null }, gateway.Clock).CopyAsync(includeKey, TestContext.Current.CancellationToken);
        await using var file = File.Create(Archive);
        await copy.WriteAsync(file, TestContext.Current.CancellationToken);
    }

    private void Write(params (string Name, byte[] Content)[] entries)
    {
        using var file = File.Create(Archive);
        using var packed = new GZipStream(file, CompressionLevel.Fastest);
        using var tar = new TarWriter(packed);
        foreach (var (name, content) in entries)
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
        }
    }
}
