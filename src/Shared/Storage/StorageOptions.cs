namespace Shared.Storage;

/// <summary>Where the gateway keeps its data and how its ledger writes. Read once, at start.</summary>
public sealed record StorageOptions
{
    /// <summary>The data folder; made (readable by its owner only) where it does not exist. One process at a time may use it.</summary>
    public string Folder { get; init; } = "data";

    /// <summary>The most attempts that may wait to be written; a power of two from 16 to 1,048,576. Each takes 512 bytes of the journal file.</summary>
    public int QueueSize { get; init; } = 32_768;

    /// <summary>How long the ledger collects records before it writes them; 1 to 50 milliseconds.</summary>
    public TimeSpan CommitDelay { get; init; } = TimeSpan.FromMilliseconds(40);

    /// <summary>How long a shutdown may take to write what is left; whatever is not written by then is found in the journal by the next start.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a write waits for another one to finish before it fails and is tried again.</summary>
    public TimeSpan BusyTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Reads an environment variable, such as the one that holds the key of the stored secrets.</summary>
    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    internal void Validate()
    {
        if (string.IsNullOrWhiteSpace(Folder))
        {
            throw new ArgumentException("Storage: the data folder must be named.");
        }
        if (QueueSize is < 16 or > 1_048_576 || (QueueSize & (QueueSize - 1)) != 0)
        {
            throw new ArgumentException($"Storage: the queue size must be a power of two from 16 to 1048576, not {QueueSize}.");
        }
        if (CommitDelay < TimeSpan.FromMilliseconds(1) || CommitDelay > TimeSpan.FromMilliseconds(50))
        {
            throw new ArgumentException($"Storage: the commit delay must be 1 to 50 milliseconds, not {CommitDelay.TotalMilliseconds}.");
        }
    }
}
