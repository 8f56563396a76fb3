using System.Net.Http.Headers;
using McpHub.Upstreams;

namespace Gateway.Bridging;

/// <summary>The reading of what a POST or GET brings back.</summary>
internal static class BridgeRequest
{
    /// <summary>Adds what every POST accepts.</summary>
    public static void Accept(HttpRequestHeaders headers) => headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");

    /// <summary>Reads a response to its end, or until it is enough.</summary>
    /// <param name="gateway">Words errors.</param>
    /// <param name="response">A successful response.</param>
    /// <param name="position">Is told where a stream of events stands; null: it cannot be taken up again.</param>
    /// <param name="take">Receives each message.</param>
    /// <param name="isEnough">Whether what was taken is all that was wanted.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="BridgeException">It broke off, or is no answer.</exception>
    public static async Task ReadAsync(GatewayConnection gateway, HttpResponseMessage response, EventPosition? position, BytesSink take, Func<bool> isEnough, CancellationToken cancellationToken)
    {
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            if (GatewayConnection.HasType(response, "text/event-stream"))
            {
                if (!await EventReader.ReadAsync(body, GatewayConnection.MaxMessageBytes, position ?? new EventPosition(), take, isEnough, cancellationToken))
                {
                    throw GatewayConnection.TooLarge();
                }
                return;
            }
            if (!GatewayConnection.HasType(response, "application/json"))
            {
                throw gateway.NotMcp();
            }
            using var message = new PooledBytes(4096);
            while (await message.ReadFromAsync(body, cancellationToken) > 0)
            {
                if (message.Length > GatewayConnection.MaxMessageBytes)
                {
                    throw GatewayConnection.TooLarge();
                }
            }
            take(message.Written.Span);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw gateway.Broken(exception);
        }
    }
}
