using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using McpHub.Upstreams;

namespace Gateway.Bridging;

/// <summary>
/// An MCP server on standard input and output that is a running gateway's <c>/mcp</c>: messages go through as bytes, and what Streamable HTTP needs around them
/// is added here. It loads nothing of the gateway itself.
/// </summary>
internal sealed class Bridge : IDisposable
{
    /// <summary>Requests that may be under way at once.</summary>
    public const int MaxRequests = 1000;

    /// <summary>Bytes of requests that may be under way at once.</summary>
    public const long MaxRequestBytes = 2L * GatewayConnection.MaxMessageBytes;

    private const int ParseError = -32700;
    private const int InvalidRequest = -32600;

    /// <summary>How often the events of one request are taken up again after the gateway closed the stream without an answer.</summary>
    private const int MostResumptions = 20;

    // What was piped in is to be answered, whatever it takes. A client that goes away says so after two seconds with a signal, which ends this wait.
    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Farewell = TimeSpan.FromMilliseconds(750);
    private static readonly TimeSpan NotificationLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestResumption = TimeSpan.FromSeconds(10);

    private readonly GatewayConnection gateway;
    private readonly BridgeOutput output;
    private readonly BridgeLog log;
    private readonly BridgeSession session;
    private readonly TimeProvider clock;
    private readonly CancellationTokenSource stopping = new();
    private readonly ConcurrentDictionary<string, Exchange> underWay = new(StringComparer.Ordinal);

    // Each with whether it comes to an end by itself.
    private readonly ConcurrentDictionary<Task, bool> running = new();
    private long bytesUnderWay;
    private Task inOrder = Task.CompletedTask;
    private Task listening = Task.CompletedTask;

    private Bridge(GatewayConnection gateway, Stream output, BridgeLog log, TimeProvider clock)
    {
        (this.gateway, this.log, this.clock) = (gateway, log, clock);
        this.output = new BridgeOutput(output);
        session = new BridgeSession(gateway, this.output, log, stopping.Token);
    }

    /// <summary>Relays between this process's standard streams and a gateway until the input ends or the process is told to stop.</summary>
    /// <returns>The exit code: 0 done, 1 a message was too large to go on, 2 the options are wrong.</returns>
    public static async Task<int> RunAsync(BridgeOptions options, TextWriter error)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        await using var input = Console.OpenStandardInput();
        await using var output = Console.OpenStandardOutput();
        return await RunAsync(options, input, output, error, TimeProvider.System, stop.Token);
    }

    /// <summary>As <see cref="RunAsync(BridgeOptions, TextWriter)"/>, between any two streams.</summary>
    public static async Task<int> RunAsync(BridgeOptions options, Stream input, Stream output, TextWriter error, TimeProvider clock, CancellationToken cancellationToken)
    {
        var log = new BridgeLog(error);
        if (!McpAddress.TryParse(options.Url, out var address, out var problem))
        {
            log.Write(problem);
            return Hosting.Server.WrongUsage;
        }
        if (address.Scheme != Uri.UriSchemeHttps && !address.IsLoopback && !options.AllowHttp)
        {
            log.Write($"'{address}' would send the key across the network unencrypted; use https, or allow it with --allow-http.");
            return Hosting.Server.WrongUsage;
        }
        if (options.ReadKey().Problem is { } missing)
        {
            // Not the end: the client is told by an error, which people see before they find a log.
            log.Write(missing);
        }
        using var gateway = new GatewayConnection(address, options);
        using var bridge = new Bridge(gateway, output, log, clock);
        return await bridge.RelayAsync(input, cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => stopping.Dispose();

    private async Task<int> RelayAsync(Stream input, CancellationToken cancellationToken)
    {
        // A read of the terminal or of a pipe cannot be cancelled everywhere, so that a stop does not wait for it.
        var reading = Task.Run(() => LineReader.ReadAsync(input, GatewayConnection.MaxMessageBytes, Take, cancellationToken), CancellationToken.None);
        var isWhole = true;
        try
        {
            isWhole = await reading.WaitAsync(cancellationToken);
            if (isWhole)
            {
                await Task.WhenAny(Task.WhenAll([.. running.Where(pair => pair.Value).Select(pair => pair.Key), inOrder]), Task.Delay(Drain, clock, cancellationToken));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Told to stop.
        }
        catch (IOException exception)
        {
            log.Write($"the client's side broke: {exception.Message}");
        }
        if (!isWhole)
        {
            var text = string.Create(CultureInfo.InvariantCulture, $"A message is longer than {GatewayConnection.MaxMessageBytes} bytes; the bridge ends.");
            log.Write(text);
            output.WriteError("", new BridgeException(InvalidRequest, text));
        }
        await stopping.CancelAsync();
        await Task.WhenAny(Task.WhenAll([.. running.Keys, inOrder, listening]), Task.Delay(Farewell, clock, CancellationToken.None));
        using var patience = new CancellationTokenSource(Farewell, clock);
        await session.EndAsync(patience.Token);
        return isWhole ? 0 : Hosting.Server.Failed;
    }

    /// <summary>Takes one line of the client. Lines arrive one after the other.</summary>
    private void Take(ReadOnlySpan<byte> line)
    {
        var text = line.TrimEnd("\r \t"u8);
        if (text.IsEmpty)
        {
            return;
        }
        if (ClientMessage.Read(text) is not { } message)
        {
            output.WriteError("", text[0] == (byte)'['
                ? new BridgeException(InvalidRequest, "Batches are not relayed; send each message on a line of its own.")
                : new BridgeException(ParseError, "The line is not one JSON-RPC message in UTF-8."));
            return;
        }
        if (message.IsRequest)
        {
            TakeRequest(message);
        }
        else
        {
            // Notifications and answers keep their order: the end of a handshake must not be overtaken.
            var before = inOrder;
            inOrder = Task.Run(() => NotifyAsync(message, before), CancellationToken.None);
        }
    }

    private void TakeRequest(ClientMessage message)
    {
        var bytes = Interlocked.Add(ref bytesUnderWay, message.Bytes.Length);
        var exchange = new Exchange(stopping.Token);
        var refusal = underWay.Count >= MaxRequests || (bytes > MaxRequestBytes && bytes > message.Bytes.Length)
            ? new BridgeException(BridgeException.Busy, "Too many requests are under way; try again when some are answered.")
            : !underWay.TryAdd(message.Id, exchange) ? new BridgeException(InvalidRequest, "A request with this id is under way.") : null;
        if (refusal is not null)
        {
            Interlocked.Add(ref bytesUnderWay, -message.Bytes.Length);
            exchange.Dispose();
            output.WriteError(message.Id, refusal);
            return;
        }
        var before = inOrder;
        var task = Task.Run(() => ServeAsync(message, exchange, before), CancellationToken.None);
        running[task] = message.Method != "subscriptions/listen";
        _ = task.ContinueWith(done => running.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        if (message.Method == "initialize")
        {
            inOrder = task;
        }
    }

    private async Task ServeAsync(ClientMessage message, Exchange exchange, Task before)
    {
        try
        {
            await before.WaitAsync(exchange.Token);
            await (message.StatelessVersion is null ? ServeInSessionAsync(message, exchange) : ServeStatelessAsync(message, exchange));
        }
        catch (BridgeException failure)
        {
            Report(message, failure);
            if (exchange.TryAnswer())
            {
                output.WriteError(message.Id, failure);
            }
        }
        catch (OperationCanceledException) when (exchange.Token.IsCancellationRequested)
        {
            // Nobody waits for the answer.
        }
        catch (IOException exception)
        {
            log.Write($"the client's side broke: {exception.Message}");
        }
        finally
        {
            underWay.TryRemove(message.Id, out _);
            Interlocked.Add(ref bytesUnderWay, -message.Bytes.Length);
            exchange.Dispose();
        }
    }

    private async Task ServeStatelessAsync(ClientMessage message, Exchange exchange)
    {
        using var response = await gateway.SendAsync(HttpMethod.Post, message.Bytes, headers => DescribeStateless(headers, message), exchange.Token);
        await BridgeRequest.ReadAsync(gateway, response, null, text => Relay(text, message, exchange, response), () => exchange.IsAnswered, exchange.Token);
        if (!exchange.IsAnswered)
        {
            throw GatewayConnection.NoAnswer();
        }
    }

    private async Task ServeInSessionAsync(ClientMessage message, Exchange exchange)
    {
        if (message.Method == "initialize")
        {
            session.Begin(message);
        }
        for (var isFirst = true; ; isFirst = false)
        {
            var agreed = session.Current;
            try
            {
                await ExchangeAsync(message, exchange, agreed);
                return;
            }
            catch (SessionLostException) when (isFirst && !exchange.IsAnswered)
            {
                // It was not carried out, so that it may be sent again.
                await session.RenewAsync(agreed, exchange.Token);
            }
            catch (SessionLostException)
            {
                throw new BridgeException(BridgeException.Invalid, "The gateway forgets each session at once.");
            }
        }
    }

    private async Task ExchangeAsync(ClientMessage message, Exchange exchange, Agreement? agreed)
    {
        var position = new EventPosition();
        using (var response = await gateway.SendAsync(HttpMethod.Post, message.Bytes, headers => DescribeInSession(headers, agreed), exchange.Token))
        {
            try
            {
                await BridgeRequest.ReadAsync(gateway, response, position, text => Relay(text, message, exchange, response), () => exchange.IsAnswered, exchange.Token);
            }
            catch (BridgeException failure) when (failure.Code == BridgeException.Unavailable && position.LastId is not null)
            {
                log.Write(failure.Message);
            }
        }
        for (var i = 0; !exchange.IsAnswered && position.LastId is not null && i < MostResumptions; i++)
        {
            var wait = position.Retry ?? TimeSpan.FromSeconds(1);
            await Task.Delay(wait < LongestResumption ? wait : LongestResumption, clock, exchange.Token);
            using var response = await gateway.SendAsync(HttpMethod.Get, default, headers => DescribeListening(headers, agreed, position), exchange.Token);
            await BridgeRequest.ReadAsync(gateway, response, position, text => Relay(text, message, exchange, response), () => exchange.IsAnswered, exchange.Token);
        }
        if (!exchange.IsAnswered)
        {
            throw GatewayConnection.NoAnswer();
        }
    }

    /// <summary>Hands a message of the gateway on to the client.</summary>
    private void Relay(ReadOnlySpan<byte> text, ClientMessage request, Exchange exchange, HttpResponseMessage response)
    {
        if (!RpcFrame.TryRead(text, out var frame))
        {
            log.Write("the gateway sent what is no JSON-RPC message; it is left out");
            return;
        }
        if (frame.IsResponse && Encoding.UTF8.GetString(frame.Id) == request.Id)
        {
            if (request.Method == "initialize")
            {
                session.Agree(response, text);
            }
            if (!exchange.TryAnswer())
            {
                return;
            }
        }
        output.Write(text);
    }

    private async Task NotifyAsync(ClientMessage message, Task before)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        limit.CancelAfter(NotificationLimit);
        try
        {
            await before.WaitAsync(limit.Token);
            var cancelled = message.Cancelled.Length > 0 && underWay.TryGetValue(message.Cancelled, out var found) ? found : null;
            if (session.Current is { } agreed)
            {
                await PostAsync(message, agreed, limit.Token);
            }
            else if (cancelled is null)
            {
                log.Write($"'{message.Method}' before any handshake is left out");
            }
            // Without sessions, and where the cancellation overtook its request, the end of the exchange says it.
            cancelled?.Cancel();
            if (message.Method == "notifications/initialized" && session.Current is { SessionId: not null } && listening.IsCompleted)
            {
                listening = Task.Run(ListenAsync, CancellationToken.None);
            }
        }
        catch (BridgeException failure)
        {
            Report(message, failure);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The bridge ends.
        }
        catch (OperationCanceledException)
        {
            log.Write($"the gateway did not take '{message.Method}' within {NotificationLimit.TotalSeconds:0} seconds");
        }
    }

    private async Task PostAsync(ClientMessage message, Agreement agreed, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await gateway.SendAsync(HttpMethod.Post, message.Bytes, headers => DescribeInSession(headers, agreed), cancellationToken);
        }
        catch (SessionLostException)
        {
            // It spoke of the lost session; the new one has nothing to do with it.
            await session.RenewAsync(agreed, cancellationToken);
        }
    }

    /// <summary>Keeps a GET stream open for what the gateway says by itself.</summary>
    private async Task ListenAsync()
    {
        var backoff = new Backoff(clock);
        var position = new EventPosition();
        var of = session.Current;
        var wasReported = false;
        while (!stopping.IsCancellationRequested && session.Current is { SessionId: not null } agreed)
        {
            if (!ReferenceEquals(of, agreed))
            {
                (of, position) = (agreed, new EventPosition());
            }
            var isLost = false;
            try
            {
                using var response = await gateway.SendAsync(HttpMethod.Get, default, headers => DescribeListening(headers, agreed, position), stopping.Token);
                backoff.Connected();
                wasReported = false;
                await BridgeRequest.ReadAsync(gateway, response, position, Relay, () => false, stopping.Token);
            }
            catch (SessionLostException)
            {
                isLost = true;
            }
            catch (BridgeException failure) when (failure.Code is 405 or 501)
            {
                // There is none to be had, and nothing is missing.
                return;
            }
            catch (BridgeException failure)
            {
                if (!wasReported)
                {
                    log.Write($"not listening for the gateway's messages: {failure.Message}");
                }
                wasReported = true;
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (IOException exception)
            {
                log.Write($"the client's side broke: {exception.Message}");
                return;
            }
            try
            {
                await Task.Delay(backoff.Next(isLost), clock, stopping.Token);
                if (isLost)
                {
                    await session.RenewAsync(agreed, stopping.Token);
                }
            }
            catch (BridgeException failure)
            {
                log.Write($"no other session: {failure.Message}");
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void Relay(ReadOnlySpan<byte> text)
    {
        if (RpcFrame.TryRead(text, out _))
        {
            output.Write(text);
        }
        else
        {
            log.Write("the gateway sent what is no JSON-RPC message; it is left out");
        }
    }

    private void Report(ClientMessage message, BridgeException failure)
    {
        // What the gateway answered under an error status belongs to the client alone; what keeps all from working belongs into the log as well.
        if (failure.Error.IsEmpty || failure.Code is 401 or 403)
        {
            log.Write($"{(message.Method.Length > 0 ? message.Method : "answer")}: {failure.Message}");
        }
    }

    private static void DescribeStateless(HttpRequestHeaders headers, ClientMessage message)
    {
        BridgeRequest.Accept(headers);
        headers.TryAddWithoutValidation("MCP-Protocol-Version", HeaderText.Encode(message.StatelessVersion!));
        headers.TryAddWithoutValidation("x-gateway-bridge", "stdio"); // arguments are in the body alone
        headers.TryAddWithoutValidation("Mcp-Method", HeaderText.Encode(message.Method));
        if (message.Name is not null)
        {
            headers.TryAddWithoutValidation("Mcp-Name", HeaderText.Encode(message.Name));
        }
    }

    private static void DescribeInSession(HttpRequestHeaders headers, Agreement? agreed)
    {
        BridgeRequest.Accept(headers);
        BridgeSession.Describe(headers, agreed);
    }

    private static void DescribeListening(HttpRequestHeaders headers, Agreement? agreed, EventPosition position)
    {
        headers.TryAddWithoutValidation("Accept", "text/event-stream");
        BridgeSession.Describe(headers, agreed);
        if (position.LastId is not null)
        {
            headers.TryAddWithoutValidation("Last-Event-ID", position.LastId);
        }
    }

    /// <summary>A request under way.</summary>
    private sealed class Exchange(CancellationToken stopping) : IDisposable
    {
        private readonly CancellationTokenSource cancellation = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        private readonly Lock gate = new();
        private int answered;
        private bool isDisposed;

        public CancellationToken Token => cancellation.Token;

        public bool IsAnswered => Volatile.Read(ref answered) != 0;

        /// <summary>Whether the answer that is about to be written is the first.</summary>
        public bool TryAnswer() => Interlocked.Exchange(ref answered, 1) == 0;

        public void Cancel()
        {
            lock (gate)
            {
                if (!isDisposed)
                {
                    cancellation.Cancel();
                }
            }
        }

        public void Dispose()
        {
            lock (gate)
            {
                isDisposed = true;
                cancellation.Dispose();
            }
        }
    }
}
