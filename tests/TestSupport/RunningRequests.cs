using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;

namespace TestSupport;

/// <summary>Counts the requests that a host is dealing with. A client has its answer before the host is done with the request and has billed it.</summary>
internal sealed class RunningRequests : IStartupFilter
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    private readonly Lock gate = new();
    private TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int count;

    /// <inheritdoc/>
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use(async (context, rest) =>
        {
            Add(1);
            try
            {
                await rest(context);
            }
            finally
            {
                Add(-1);
            }
        });
        next(app);
    };

    /// <summary>Completes when no request is under way.</summary>
    public Task IdleAsync()
    {
        lock (gate)
        {
            return count == 0 ? Task.CompletedTask : idle.Task.WaitAsync(HangGuard);
        }
    }

    private void Add(int difference)
    {
        lock (gate)
        {
            count += difference;
            if (count == 0)
            {
                idle.TrySetResult();
                idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }
}
