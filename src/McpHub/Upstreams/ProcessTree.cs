using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace McpHub.Upstreams;

/// <summary>
/// The descendants of a process, on Linux, where a child that outlives its parent is nobody's any more. A launcher such as <c>npx</c> may end before
/// the server that it launched.
/// </summary>
internal static class ProcessTree
{
    /// <summary>All descendants now; empty where the system does not tell.</summary>
    public static IReadOnlyList<Descendant> DescendantsOf(Process process)
    {
        if (!OperatingSystem.IsLinux() || process.HasExited)
        {
            return [];
        }
        var all = new Dictionary<int, (int Parent, string Started)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && Read(id) is { } stat)
            {
                all[id] = stat;
            }
        }
        var found = new List<Descendant>();
        var parents = new Queue<int>([process.Id]);
        while (parents.TryDequeue(out var parent))
        {
            foreach (var (id, stat) in all.Where(entry => entry.Value.Parent == parent))
            {
                found.Add(new Descendant(id, stat.Started));
                parents.Enqueue(id);
            }
        }
        return found;
    }

    /// <summary>Kills those that still run. A process that merely has the id of one, but began later, is left alone.</summary>
    public static void Kill(IReadOnlyList<Descendant> descendants)
    {
        foreach (var descendant in descendants)
        {
            if (Read(descendant.Id) is { } stat && stat.Started == descendant.Started)
            {
                try
                {
                    using var process = Process.GetProcessById(descendant.Id);
                    process.Kill();
                }
                catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or Win32Exception)
                {
                    // It has ended meanwhile.
                }
            }
        }
    }

    /// <summary>Parent and time of start, from <c>/proc/[pid]/stat</c> (proc(5)): the fields after the name in parentheses.</summary>
    private static (int Parent, string Started)? Read(int id)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{id.ToString(CultureInfo.InvariantCulture)}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (int.Parse(fields[1], CultureInfo.InvariantCulture), fields[19]);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException)
        {
            return null;
        }
    }

    /// <summary>A process, told from a later one with the same id by its start.</summary>
    internal readonly record struct Descendant(int Id, string Started);
}
