using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Gateway.SignIn;

/// <summary>Things that wait for a moment under a secret name; only the name's hash is kept. Bounded: of too many, the oldest go.</summary>
internal sealed class ShortLived<T>(TimeSpan lifetime, int most, TimeProvider clock) where T : class
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, (T Item, DateTimeOffset Until)> items = new(StringComparer.Ordinal);
    private readonly Queue<(string Name, DateTimeOffset Until)> order = new();

    /// <summary>Keeps an item.</summary>
    /// <returns>Its name: 256 random bits.</returns>
    public string Add(T item)
    {
        var name = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        lock (gate)
        {
            var now = clock.GetUtcNow();
            while (order.TryPeek(out var oldest) && (oldest.Until <= now || items.Count >= most))
            {
                order.Dequeue();
                items.Remove(oldest.Name);
            }
            items.Add(HashOf(name), (item, now + lifetime));
            order.Enqueue((HashOf(name), now + lifetime));
        }
        return name;
    }

    /// <summary>Takes an item out; it is given to one only. Null: there is none.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="instead">What is left in its place until its time is over; null: nothing.</param>
    public T? Take(string name, Func<T, T?>? instead = null)
    {
        lock (gate)
        {
            var hash = HashOf(name);
            if (!items.TryGetValue(hash, out var found) || found.Until <= clock.GetUtcNow())
            {
                return null;
            }
            if (instead?.Invoke(found.Item) is { } rest)
            {
                items[hash] = (rest, found.Until);
            }
            else
            {
                items.Remove(hash);
            }
            return found.Item;
        }
    }

    private static string HashOf(string name) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(name)));
}
