using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Shared.Stored;

namespace Shared.Storage;

/// <summary>What was restored.</summary>
/// <param name="CreatedAt">When the backup was made, as its manifest says.</param>
/// <param name="Attempts">Attempts in its ledger.</param>
/// <param name="Secrets">Stored secrets, sealed.</param>
/// <param name="HasSecretsKey">Whether the key of the secrets was in the backup.</param>
/// <param name="Replaced">The folder to which what was there before has been moved; null: there was nothing.</param>
public sealed record RestoreResult(string CreatedAt, long Attempts, long Secrets, bool HasSecretsKey, string? Replaced);

/// <summary>
/// Puts a backup into a data folder. Nothing is in its place before all of it has been checked: names, sizes and checksums against the manifest, then the database itself.
/// </summary>
public static class Restore
{
    private const long MaxManifestBytes = 64 * 1024;
    private const long MaxKeyBytes = 4096;
    private const string LockFile = "gateway.lock";

    private sealed record Declared(string Name, long Bytes, string Hash);

    private sealed record Manifest(string CreatedAt, int Schema, IReadOnlyList<Declared> Files);

    /// <summary>Restores a backup.</summary>
    /// <param name="archive">The backup's file.</param>
    /// <param name="folder">The data folder; made where it does not exist.</param>
    /// <param name="force">Whether a folder that is not empty may be used: what is there is moved into a folder within it.</param>
    /// <param name="clock">The time, for that folder's name.</param>
    /// <exception cref="StorageException">The folder is in use or not empty, or the backup is damaged, is none, or was made by a newer version. Nothing has changed then.</exception>
    public static RestoreResult Run(string archive, string folder, bool force, TimeProvider clock)
    {
        if (!File.Exists(archive))
        {
            throw new StorageException($"There is no file '{archive}'.");
        }
        folder = Path.GetFullPath(folder);
        var existed = Directory.Exists(folder);
        using var folderLock = DataFolderLock.Take(folder);
        var present = Directory.EnumerateFileSystemEntries(folder).Where(entry => Path.GetFileName(entry) != LockFile).ToList();
        if (present.Count > 0 && !force)
        {
            throw new StorageException($"The folder '{folder}' is not empty. Restore into a new one, or give --force: what is there is then moved aside, not deleted.");
        }
        var staging = Directory.CreateDirectory(Path.Combine(folder, $"restore-{Guid.NewGuid():N}")).FullName;
        try
        {
            var manifest = Unpack(archive, staging);
            var (attempts, secrets) = Verify(Path.Combine(staging, GatewayDatabase.FileName), manifest);
            var replaced = present.Count == 0 ? null : MoveAside(present, folder, clock);
            foreach (var file in manifest.Files)
            {
                File.Move(Path.Combine(staging, file.Name), Path.Combine(folder, file.Name));
            }
            return new RestoreResult(manifest.CreatedAt, attempts, secrets, manifest.Files.Any(file => file.Name == SecretVault.KeyFile), replaced);
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or JsonException or FormatException or IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            throw new StorageException($"'{archive}' cannot be restored: {exception.Message}", exception);
        }
        finally
        {
            Directory.Delete(staging, recursive: true);
            if (!existed && !Directory.EnumerateFileSystemEntries(folder).Any(entry => Path.GetFileName(entry) != LockFile))
            {
                File.Delete(Path.Combine(folder, LockFile));
                Directory.Delete(folder);
            }
        }
    }

    /// <summary>Reads an archive to its end and checks it, without keeping anything of it.</summary>
    /// <exception cref="StorageException">It is damaged or none.</exception>
    public static void Check(string archive)
    {
        try
        {
            Unpack(archive, null);
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or JsonException or FormatException or IOException or InvalidOperationException)
        {
            throw new StorageException($"'{archive}' is no whole backup: {exception.Message}", exception);
        }
    }

    private static Manifest Unpack(string archive, string? staging)
    {
        using var file = File.OpenRead(archive);
        using var unpacked = new GZipStream(file, CompressionMode.Decompress);
        using var tar = new TarReader(unpacked);
        if (tar.GetNextEntry() is not { Name: Backup.ManifestName, EntryType: TarEntryType.RegularFile, DataStream: { } text } first || first.Length > MaxManifestBytes)
        {
            throw new InvalidDataException("it is no backup of the gateway; it does not begin with a manifest.");
        }
        var manifest = Read(text);
        if (staging is not null && new DriveInfo(staging).AvailableFreeSpace is var free && manifest.Files.Sum(declared => declared.Bytes) is var needed && needed > free)
        {
            throw new InvalidDataException($"it needs {needed >> 20} MiB, and {free >> 20} MiB are free.");
        }
        // Only these names, in this order: an archive decides nothing about where a file goes.
        foreach (var declared in manifest.Files)
        {
            if (tar.GetNextEntry() is not { EntryType: TarEntryType.RegularFile } entry || entry.Name != declared.Name || entry.Length != declared.Bytes)
            {
                throw new InvalidDataException($"'{declared.Name}' is missing in it, or of another size than its manifest says.");
            }
            Copy(entry, declared, staging);
        }
        return tar.GetNextEntry() is null ? manifest : throw new InvalidDataException("it holds more than its manifest says.");
    }

    private static void Copy(TarEntry entry, Declared declared, string? staging)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var output = staging is null ? Stream.Null : NewFile(Path.Combine(staging, declared.Name));
        var buffer = new byte[128 * 1024];
        for (var left = declared.Bytes; left > 0;)
        {
            var read = entry.DataStream!.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            if (read == 0)
            {
                throw new InvalidDataException($"'{declared.Name}' ends too soon.");
            }
            hash.AppendData(buffer, 0, read);
            output.Write(buffer, 0, read);
            left -= read;
        }
        (output as FileStream)?.Flush(flushToDisk: true);
        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != declared.Hash)
        {
            throw new InvalidDataException($"the checksum of '{declared.Name}' is not the one in its manifest: it is damaged.");
        }
    }

    private static FileStream NewFile(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }
        return new FileStream(path, options);
    }

    private static Manifest Read(Stream text)
    {
        using var json = JsonDocument.Parse(text);
        var root = json.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("format", out var format) || format.ValueKind != JsonValueKind.Number || format.GetInt32() != Backup.Format)
        {
            throw new InvalidDataException("its format is one that this version does not know; restore it with the version that made it.");
        }
        if (!root.TryGetProperty("files", out var list) || list.ValueKind != JsonValueKind.Array || !root.TryGetProperty("schema", out var schema) || !root.TryGetProperty("createdAt", out var createdAt))
        {
            throw new InvalidDataException("its manifest is incomplete.");
        }
        var files = new List<Declared>();
        foreach (var file in list.EnumerateArray())
        {
            if (!file.TryGetProperty("name", out var name) || !file.TryGetProperty("bytes", out var bytes) || !file.TryGetProperty("sha256", out var hash))
            {
                throw new InvalidDataException("its manifest is incomplete.");
            }
            var declared = new Declared(name.GetString() ?? "", bytes.GetInt64(), hash.GetString() ?? "");
            var isKnown = declared.Name == GatewayDatabase.FileName || (declared.Name == SecretVault.KeyFile && declared.Bytes <= MaxKeyBytes);
            if (!isKnown || declared.Bytes < 0 || files.Any(known => known.Name == declared.Name))
            {
                throw new InvalidDataException("its manifest names a file that a backup does not have.");
            }
            files.Add(declared);
        }
        return files.Any(file => file.Name == GatewayDatabase.FileName) ? new Manifest(createdAt.GetString() ?? "", schema.GetInt32(), files)
            : throw new InvalidDataException("there is no database in it.");
    }

    private static (long Attempts, long Secrets) Verify(string path, Manifest manifest)
    {
        using var session = SqliteSession.Open(path, TimeSpan.FromSeconds(2));
        using (var check = session.Prepare("PRAGMA integrity_check(1)"))
        {
            if (!check.Read() || check.Text(0) != "ok")
            {
                throw new InvalidDataException($"its database is damaged: {check.Text(0)}.");
            }
        }
        var schema = Count(session, "SELECT max(version) FROM schema_version");
        if (schema > Migrations.All.Length || manifest.Schema > Migrations.All.Length)
        {
            throw new InvalidDataException($"it has schema {schema}, made by a newer version of the gateway; this one knows schemas up to {Migrations.All.Length}.");
        }
        return (Count(session, "SELECT count(*) FROM attempts"), schema < 2 ? 0 : Count(session, "SELECT count(*) FROM secrets"));
    }

    private static long Count(SqliteSession session, string sql)
    {
        using var select = session.Prepare(sql);
        return select.Read() ? select.Int64(0) : 0;
    }

    private static string MoveAside(List<string> present, string folder, TimeProvider clock)
    {
        var aside = Directory.CreateDirectory(Path.Combine(folder, $"replaced-{clock.GetUtcNow().UtcDateTime.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}-{Guid.NewGuid().ToString("N")[..6]}")).FullName;
        foreach (var entry in present)
        {
            Directory.Move(entry, Path.Combine(aside, Path.GetFileName(entry)));
        }
        return aside;
    }
}
