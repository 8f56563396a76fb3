using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Shared.Egress;

/// <summary>A list of host names, some of them standing for all names below them (<c>*.example.com</c>). Case does not matter, nor a dot at the end.</summary>
internal sealed class HostNames
{
    private readonly FrozenSet<string> exact;
    private readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private readonly ImmutableArray<string> suffixes;

    private HostNames(IEnumerable<string> names)
    {
        exact = names.Where(name => !name.StartsWith('*')).Select(name => name.TrimEnd('.')).ToFrozenSet(StringComparer.OrdinalIgnoreCase);
        lookup = exact.GetAlternateLookup<ReadOnlySpan<char>>();
        suffixes = [.. names.Where(name => name.StartsWith('*')).Select(name => name[1..].TrimEnd('.'))];
    }

    public static HostNames None { get; } = new([]);

    public bool IsEmpty => exact.Count == 0 && suffixes.IsEmpty;

    public static HostNames Of(IReadOnlyCollection<string> names) => names.Count == 0 ? None : new HostNames(names);

    /// <summary>Whether a text is a host name, or <c>*.</c> before one.</summary>
    public static bool IsPattern(string text)
    {
        var name = text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text;
        return name.Length is > 0 and <= 253 && Uri.CheckHostName(name) == UriHostNameType.Dns;
    }

    public bool Hold(ReadOnlySpan<char> host)
    {
        if (IsEmpty)
        {
            return false;
        }
        host = host.TrimEnd('.');
        if (lookup.Contains(host))
        {
            return true;
        }
        foreach (var suffix in suffixes)
        {
            if (host.Length > suffix.Length && host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }
        return false;
    }
}
