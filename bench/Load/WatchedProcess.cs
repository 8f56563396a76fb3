using System.Diagnostics;

namespace Gateway.Load;

/// <summary>CPU time, resident memory, threads and open handles (on Linux: file descriptors, sockets among them) of a process of this machine.</summary>
internal sealed class WatchedProcess(int? id)
{
    /// <summary>All now; zero where no process is watched.</summary>
    public (TimeSpan Cpu, double ResidentMib, int Threads, int Handles) Read()
    {
        if (id is not { } known)
        {
            return default;
        }
        using var process = Process.GetProcessById(known);
        var descriptors = $"/proc/{known}/fd";
        return (process.TotalProcessorTime, process.WorkingSet64 / 1048576.0, process.Threads.Count, Directory.Exists(descriptors) ? Directory.GetFileSystemEntries(descriptors).Length : process.HandleCount);
    }
}
