using Microsoft.AspNetCore.Connections;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.Storage;
using Shared.Telemetry;

namespace Gateway.Hosting;

/// <summary>Runs the gateway from start to end and tells the user what stops it.</summary>
internal static class Server
{
    /// <summary>The gateway could not start, for a reason that was printed.</summary>
    public const int Failed = 1;

    /// <summary>An option was wrong.</summary>
    public const int WrongUsage = 2;

    /// <summary>Serves until the process is told to stop.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(ServeOptions options, TextWriter output, TextWriter error, CancellationToken cancellationToken)
    {
        try
        {
            await using var app = Program.Build(options);
            var keys = await StartAsync(app, cancellationToken);
            using var banner = Banner.Print(app, keys, output);
            await app.WaitForShutdownAsync(cancellationToken);
            return 0;
        }
        catch (ListenAddressException exception)
        {
            return await FailAsync(error, WrongUsage, exception.Message);
        }
        catch (ConfigurationException exception)
        {
            return await FailAsync(error, Failed, [.. exception.Errors]);
        }
        catch (StorageException exception)
        {
            return await FailAsync(error, Failed, exception.Message);
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            return await FailAsync(error, Failed, $"The address is in use by another program: {exception.Message} Stop that program, or choose another port with --urls.");
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return 0;
        }
    }

    /// <summary>
    /// Loads the configuration, listens, and on the first start makes the keys; last, so that a start that fails leaves none behind that nobody was shown.
    /// </summary>
    /// <returns>The keys of a first start; null on a later one.</returns>
    public static async Task<FirstStartKeys?> StartAsync(WebApplication app, CancellationToken cancellationToken)
    {
        // Each takes the better part of 100 ms, and neither needs the other.
        var metrics = Task.Run(app.Services.CollectMetrics, cancellationToken);
        try
        {
            app.Services.GetRequiredService<SnapshotLoader>().Load();
        }
        finally
        {
            await metrics;
        }
        app.Services.GetRequiredService<Listener>().Decide(app.Services.GetRequiredService<SnapshotLoader>().Server, app.Services);
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch
        {
            // Services that run already then know that they are stopped, and do not report it as a failure of theirs.
            app.Lifetime.StopApplication();
            throw;
        }
        return await FirstStartKeys.CreateAsync(app.Services, cancellationToken);
    }

    private static async Task<int> FailAsync(TextWriter error, int exitCode, params string[] lines)
    {
        foreach (var line in lines)
        {
            await error.WriteLineAsync($"gateway: {line}");
        }
        return exitCode;
    }
}
