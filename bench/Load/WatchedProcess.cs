using System.Diagnostics;

namespace Gateway.Load;

/// <summary>CPU time and resident memory of a process of this machine.</summary>
internal sealed class WatchedProcess(int? id)
{
    /// <summary>Both now; zero where no process is watched.</summary>
    public (TimeSpan Cpu, double ResidentMib) Read()
    {
        if (id is not { } known)
        {
            return default;
        }
        using var process = Process.GetProcessById(known);
        return (process.TotalProcessorTime, process.WorkingSet64 / 1048576.0);
    }
}
