using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Ledger;
using Shared.Stored;

namespace Shared.Storage;

/// <summary>A backup is under way already; one is made at a time.</summary>
public sealed class BackupRunningException() : Exception("A backup is being made already; wait for its end.");

/// <summary>
/// Makes backups while the gateway works: a copy of the database at one moment (<c>VACUUM INTO</c>, which also leaves free pages out), with everything in it that was recorded
/// before, packed as a gzipped tar with a manifest that holds sizes and checksums.
/// </summary>
public sealed class Backup(GatewayDatabase database, EmbeddedLedger ledger, StorageOptions options, TimeProvider clock)
{
    internal const string ManifestName = "manifest.json";
    internal const int Format = 1;

    private const string TemporaryPrefix = "backup-";

    private readonly SemaphoreSlim one = new(1);

    /// <summary>Copies the database and hands the copy out, to be written somewhere; it goes away when disposed of.</summary>
    /// <param name="includeSecretsKey">Whether the key of the stored secrets is packed as well, if it is in the data folder. Whoever has both can read the secrets.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="BackupRunningException">Another one is being made.</exception>
    /// <exception cref="StorageException">The database cannot be read, or the disk has no room for the copy.</exception>
    public async Task<BackupCopy> CopyAsync(bool includeSecretsKey, CancellationToken cancellationToken = default)
    {
        if (!await one.WaitAsync(0, cancellationToken))
        {
            throw new BackupRunningException();
        }
        try
        {
            await ledger.FlushAsync(cancellationToken);
            return await Task.Run(() => Copy(includeSecretsKey), cancellationToken);
        }
        catch
        {
            one.Release();
            throw;
        }
    }

    private BackupCopy Copy(bool includeSecretsKey)
    {
        // What a process that died left behind.
        foreach (var left in Directory.EnumerateFiles(database.Folder, TemporaryPrefix + "*"))
        {
            File.Delete(left);
        }
        var path = Path.Combine(database.Folder, string.Create(CultureInfo.InvariantCulture, $"{TemporaryPrefix}{Guid.NewGuid():N}.tmp"));
        try
        {
            using (var session = database.Connect())
            {
                var (needed, free) = (Retention.UsedBytes(session), database.FreeBytes);
                if (free < needed + (needed / 10))
                {
                    throw new StorageException($"The copy for the backup needs about {needed >> 20} MiB in '{database.Folder}', and {free >> 20} MiB are free. Make room there first.");
                }
                session.Execute("PRAGMA auto_vacuum = INCREMENTAL");
                using var copy = session.Prepare("VACUUM INTO ?");
                copy.Add(path).Run();
            }
            var files = new List<(string Name, string Path)> { (GatewayDatabase.FileName, path) };
            var key = Path.Combine(database.Folder, SecretVault.KeyFile);
            var isKeyGiven = options.Environment(SecretVault.KeyVariable) is { Length: > 0 };
            if (includeSecretsKey && !isKeyGiven && File.Exists(key))
            {
                files.Add((SecretVault.KeyFile, key));
            }
            return new BackupCopy(files, Manifest(files), path, one);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    private byte[] Manifest(List<(string Name, string Path)> files)
    {
        var list = new JsonArray();
        foreach (var (name, path) in files)
        {
            using var stream = File.OpenRead(path);
            list.Add(new JsonObject { ["name"] = name, ["bytes"] = stream.Length, ["sha256"] = Convert.ToHexStringLower(SHA256.HashData(stream)) });
        }
        return JsonSerializer.SerializeToUtf8Bytes(new JsonObject
        {
            ["format"] = Format,
            ["gatewayVersion"] = typeof(Backup).Assembly.GetName().Version?.ToString(3),
            ["schema"] = Migrations.All.Length,
            ["createdAt"] = clock.GetUtcNow().UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            ["files"] = list,
        });
    }
}

/// <summary>A copy of the data, ready to be written somewhere.</summary>
public sealed class BackupCopy : IDisposable
{
    private readonly List<(string Name, string Path)> files;
    private readonly byte[] manifest;
    private readonly string temporary;
    private SemaphoreSlim? one;

    internal BackupCopy(List<(string Name, string Path)> files, byte[] manifest, string temporary, SemaphoreSlim one) =>
        (this.files, this.manifest, this.temporary, this.one) = (files, manifest, temporary, one);

    /// <summary>Whether the key of the stored secrets is in it.</summary>
    public bool HasSecretsKey => files.Count > 1;

    /// <summary>Writes the archive: the manifest first, so that who reads it knows what is to come.</summary>
    public async Task WriteAsync(Stream output, CancellationToken cancellationToken)
    {
        await using var packed = new GZipStream(output, CompressionLevel.Fastest, leaveOpen: true);
        await using var tar = new TarWriter(packed, TarEntryFormat.Pax, leaveOpen: true);
        await WriteAsync(tar, Backup.ManifestName, new MemoryStream(manifest, writable: false), cancellationToken);
        foreach (var (name, path) in files)
        {
            await WriteAsync(tar, name, File.OpenRead(path), cancellationToken);
        }
    }

    /// <summary>Removes the copy.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref one, null) is { } held)
        {
            File.Delete(temporary);
            held.Release();
        }
    }

    private static async Task WriteAsync(TarWriter tar, string name, Stream content, CancellationToken cancellationToken)
    {
        await using (content)
        {
            var entry = new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = content, Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
            await tar.WriteEntryAsync(entry, cancellationToken);
        }
    }
}
