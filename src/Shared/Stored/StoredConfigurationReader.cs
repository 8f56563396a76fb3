using Shared.Storage;

namespace Shared.Stored;

/// <summary>
/// The stored part of the configuration of a data folder that another process may be using: it is read once, nothing is written, and the folder's lock is
/// not taken.
/// </summary>
public sealed class StoredConfigurationReader : IStoredConfiguration
{
    private static readonly TimeSpan BusyTimeout = TimeSpan.FromSeconds(2);

    private readonly Lazy<StoredConfiguration> stored;

    /// <summary>A reader; nothing is read yet.</summary>
    /// <param name="folder">The data folder; it need not exist.</param>
    /// <param name="environment">Reads the variable that holds the key of the stored secrets.</param>
    public StoredConfigurationReader(string folder, Func<string, string?> environment) => stored = new(() =>
    {
        using var session = GatewayDatabase.ConnectToRead(Path.GetFullPath(folder), BusyTimeout);
        return session is null ? StoredConfiguration.Empty : ConfigurationStore.Read(session, new SecretVault(Path.GetFullPath(folder), environment));
    });

    /// <summary>Never raised.</summary>
    public event Action? Changed
    {
        add { }
        remove { }
    }

    /// <inheritdoc/>
    public StoredConfiguration Read() => stored.Value;

    /// <summary>Refused.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public StoredConfiguration Commit(StoredConfiguration before, StoredConfiguration after, ChangedBy by, PublishedRevision revision) => throw new NotSupportedException("The data folder is only read.");

    /// <summary>Refused.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public void Record(PublishedRevision revision, ChangedBy by) => throw new NotSupportedException("The data folder is only read.");
}
