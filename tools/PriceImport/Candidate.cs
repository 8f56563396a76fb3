using Shared.Configuration;

namespace PriceImport;

/// <summary>What one list says of one model's price.</summary>
internal sealed record Candidate
{
    /// <summary>The provider's id in our catalog.</summary>
    public required string Provider { get; init; }

    /// <summary>The provider's own model id.</summary>
    public required string Model { get; init; }

    /// <summary>The list's name.</summary>
    public required string List { get; init; }

    /// <summary>The day of the list.</summary>
    public required DateOnly Day { get; init; }

    /// <summary>The day on which the list last looked at the price; null: it does not say.</summary>
    public DateOnly? Checked { get; init; }

    /// <summary>How new the price is, beside those of other lists.</summary>
    public required DateOnly Age { get; init; }

    /// <summary>Whether the list names this very id; false: a rule of it (a prefix, say) covers the id.</summary>
    public bool IsNamed { get; init; } = true;

    /// <summary>The list's own entry that covers this id, where several ids share one; null otherwise.</summary>
    public string? SharedEntry { get; init; }

    /// <summary>The prices, by the date on which they took effect; the first one has none.</summary>
    public IReadOnlyList<ListedPrice> Prices { get; init; } = [];

    /// <summary>Why the price cannot be used; null where it can. No other list's price of the model is then used either, if <see cref="IsVeto"/>.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether the problem lies in the model and not in the list.</summary>
    public bool IsVeto { get; init; }

    /// <summary>The list and its day, as an entry's source names them.</summary>
    public string Source => $"{List}, {Day:yyyy-MM-dd}" + (Checked is { } day ? $", checked {day:yyyy-MM-dd}" : "");

    /// <summary>A candidate without a usable price.</summary>
    public Candidate Without(string problem, bool isVeto = false) => this with { Prices = [], Problem = problem, IsVeto = isVeto };
}
