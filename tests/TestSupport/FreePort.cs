using System.Net;
using System.Net.Sockets;

namespace TestSupport;

/// <summary>
/// Ports for programs that must be told theirs before they start. They lie below those that the system gives to connections and to listeners on
/// port 0, so that nobody takes one between its choice and its use, and each process of tests has a range of its own.
/// </summary>
public static class FreePort
{
    private const int First = 12_000;
    private const int PerProcess = 200;
    private const int Ranges = 90;

    private static readonly int Start = First + (Environment.ProcessId % Ranges * PerProcess);
    private static int next;

    /// <summary>A port of loopback on which nobody listens, never given twice by this process until its range is used up.</summary>
    /// <exception cref="InvalidOperationException">All ports of the range are taken.</exception>
    public static int Next()
    {
        for (var tries = 0; tries < PerProcess; tries++)
        {
            var port = Start + ((Interlocked.Increment(ref next) & int.MaxValue) % PerProcess);
            if (IsFree(port))
            {
                return port;
            }
        }
        throw new InvalidOperationException($"Every port from {Start} to {Start + PerProcess - 1} is taken.");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
