namespace Shared.Ledger;

/// <summary>The expressions by which rows of the ledger are summed.</summary>
internal static class LedgerSums
{
    /// <summary>What a row counts for: its cost once it is settled (an unknown one counts for nothing), until then its reservation.</summary>
    public const string Spent = "CASE WHEN settled THEN coalesce(cost_nano, 0) ELSE reserved_nano END";

    /// <summary>The tokens that a row counts for: those used, and the estimate where nobody knows them.</summary>
    public const string Tokens = $"CASE WHEN settled AND usage_source <> 3 THEN {Input} + {Output} ELSE reserved_tokens END";

    /// <summary>All input tokens of a row.</summary>
    public const string Input = "input + cache_read + cache_write + cache_write_1h + audio_input + image_input";

    /// <summary>All output tokens of a row.</summary>
    public const string Output = "output + reasoning + audio_output + image_output";

    /// <summary>What a row used of a unit, in thousandths.</summary>
    public static string Units(Pricing.UnitKind kind) => $"CASE unit_kind WHEN {(int)kind} THEN unit_thousandths ELSE 0 END";

    /// <summary>The whole dollars of a sum of nano-dollars. Summed apart from the rest, as a sum past 2^63 is an error in SQLite.</summary>
    public static string Dollars(string nano) => $"coalesce(sum(({nano}) / {Pricing.Money.NanoPerDollar}), 0)";

    /// <summary>What the whole dollars leave of a sum.</summary>
    public static string Nanos(string nano) => $"coalesce(sum(({nano}) % {Pricing.Money.NanoPerDollar}), 0)";

    /// <summary>Puts the two parts of a sum together; one that is too large to hold becomes the largest amount.</summary>
    public static Pricing.Money Money(long dollars, long nanos)
    {
        var sum = ((Int128)dollars * Pricing.Money.NanoPerDollar) + nanos;
        return new Pricing.Money((long)Int128.Clamp(sum, long.MinValue, long.MaxValue));
    }
}
