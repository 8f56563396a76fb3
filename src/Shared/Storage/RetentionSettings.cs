namespace Shared.Storage;

/// <summary>How long what is kept: the section <c>retention</c> of <c>gateway.yaml</c>.</summary>
public sealed record RetentionSettings
{
    /// <summary>How long attempts are kept; longer where a budget's or limit's window is.</summary>
    public TimeSpan Ledger { get; init; } = TimeSpan.FromDays(90);

    /// <summary>How long the sums are kept from which usage is answered.</summary>
    public TimeSpan Usage { get; init; } = TimeSpan.FromDays(1830);

    /// <summary>How long the audit is kept.</summary>
    public TimeSpan Audit { get; init; } = TimeSpan.FromDays(730);

    /// <summary>How long the texts of revisions are kept; longer where an attempt names one.</summary>
    public TimeSpan Revisions { get; init; } = TimeSpan.FromDays(365);

    /// <summary>What the database may take, in bytes. Beyond it the oldest attempts go before their time.</summary>
    public long MaxDatabaseBytes { get; init; } = 4L << 30;

    /// <summary>What must be left of the disk, in bytes. With less, calls are refused, for they could not be recorded.</summary>
    public long MinFreeDiskBytes { get; init; } = 256L << 20;
}
